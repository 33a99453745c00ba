// A small curve on a canvas: values from the oldest to the newest, from zero to the greatest of them.

/** Draw `values` (at most `length` of them, the newest at the right edge) in the canvas's own text colour. */
export function drawCurve(canvas, values, length) {
  const scale = globalThis.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * scale);
  const height = Math.round(canvas.clientHeight * scale);
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  if (values.length < 2) return;
  const colour = getComputedStyle(canvas).color;
  const top = Math.max(...values) * 1.1 || 1;
  const x = (index) => width - ((values.length - 1 - index) * width) / (length - 1);
  const y = (value) => height - scale - (value / top) * (height - 2 * scale);
  context.beginPath();
  values.forEach((value, index) => context.lineTo(x(index), y(value)));
  context.strokeStyle = colour;
  context.lineWidth = 1.5 * scale;
  context.lineJoin = "round";
  context.stroke();
  context.lineTo(width, height);
  context.lineTo(x(0), height);
  context.globalAlpha = 0.14;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
}

/* rtmp_load: N RTMP players in one process, epoll, little CPU.
   usage: rtmp_load [-h ip] -p port [-u app/stream] [-n players] [-s settle] [-d secs] [-c connectors] [-m streams]
   With -m M the players are spread over streams <name>0..<name>M-1.
   stdout: READY, START, END, then one line of JSON. A gap is a step of more than one in the numbers that the frames carry;
   bad_resumes counts the gaps whose next frame is not a key frame.
   Compiled with -DTLS it is rtmps_load: the same players inside TLS, any certificate being good enough. */
#include "common.h"
#ifdef TLS
#include <openssl/ssl.h>
static SSL_CTX *tls;
#endif

#define NCS 12
#define HEAD 160
typedef struct { uint32_t id, ts, delta, len, left, sid; uint8_t type, ext, used; uint32_t hn; uint8_t head[HEAD]; } cs_t;
typedef struct {
    int fd, idx;
#ifdef TLS
    SSL *ssl;
#endif
    uint32_t chunk, win, state;
    uint64_t rx, acked;
    uint8_t hd[24]; int hdn;            /* partial chunk header */
    cs_t cs[NCS];
    cs_t *cur; uint32_t cleft;          /* bytes left in the current chunk */
    /* metrics, measuring window only */
    uint64_t bytes, vmsg, amsg, omsg; uint32_t lost, gaps, bad_resumes, stalls, seq, lastseq_ok, gotstamp;
    int64_t maxlat, lastv, firstv, maxgap, rel_min, rel_max, tfirst;
    uint32_t lastts; int closed, streamid, started; uint32_t backts;
} conn_t;

static const char *ip = "127.0.0.1", *app = "live", *name = "s";
static int port = 1935, N = 1, settle = 3, dur = 20, nconnectors = 4, M = 0;
static conn_t *conns;
static int ep;
static volatile int connected, failed;
static uint64_t g_recv_calls;

static void put24(uint8_t *p, uint32_t v) { p[0] = v >> 16; p[1] = v >> 8; p[2] = v; }
static uint32_t get24(const uint8_t *p) { return (uint32_t)p[0] << 16 | p[1] << 8 | p[2]; }
static uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] << 24 | get24(p + 1); }
static uint8_t *amf_s(uint8_t *p, const char *s) { size_t n = strlen(s); *p++ = 2; *p++ = n >> 8; *p++ = n; memcpy(p, s, n); return p + n; }
static uint8_t *amf_k(uint8_t *p, const char *s) { size_t n = strlen(s); *p++ = n >> 8; *p++ = n; memcpy(p, s, n); return p + n; }
static uint8_t *amf_n(uint8_t *p, double d) { uint64_t u; memcpy(&u, &d, 8); *p++ = 0; for (int i = 7; i >= 0; i--) *p++ = u >> (8 * i); return p; }
/* connect, send and receive, plain or inside TLS; like the system's own calls */
static int c_open(conn_t *c) {
    c->fd = tcp_dial(ip, port);
    if (c->fd < 0) return -1;
    struct timeval tv = {20, 0}; setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
#ifdef TLS
    c->ssl = SSL_new(tls); SSL_set_fd(c->ssl, c->fd);
    if (SSL_connect(c->ssl) != 1) return -1;
#endif
    return 0;
}
static int c_send(conn_t *c, const void *b, size_t n) {
#ifdef TLS
    return SSL_write(c->ssl, b, (int)n) == (int)n ? 0 : -1;
#else
    return send_all(c->fd, b, n);
#endif
}
static ssize_t c_recv(conn_t *c, void *b, size_t n) {
#ifdef TLS
    int k = SSL_read(c->ssl, b, (int)n);
    if (k > 0) return k;
    int e = SSL_get_error(c->ssl, k);
    errno = e == SSL_ERROR_WANT_READ ? EAGAIN : EIO;
    return e == SSL_ERROR_ZERO_RETURN ? 0 : -1;
#else
    return recv(c->fd, b, n, 0);
#endif
}
static int send_msg(conn_t *c, uint8_t csid, uint8_t type, uint32_t sid, const uint8_t *b, uint32_t n) {
    uint8_t o[2048], *p = o;
    *p++ = csid; put24(p, 0); p += 3; put24(p, n); p += 3; *p++ = type; *p++ = sid; *p++ = sid >> 8; *p++ = 0; *p++ = 0;
    for (uint32_t i = 0; i < n; i += 128) { if (i) *p++ = 0xc0 | csid; uint32_t k = n - i < 128 ? n - i : 128; memcpy(p, b + i, k); p += k; }
    return c_send(c, o, (size_t)(p - o));
}
static void send_connect(conn_t *c) {
    uint8_t b[512], *p = b; char tc[128];
    snprintf(tc, sizeof tc, "rtmp://%s:%d/%s", ip, port, app);
    p = amf_s(p, "connect"); p = amf_n(p, 1); *p++ = 3;
    p = amf_k(p, "app"); p = amf_s(p, app);
    p = amf_k(p, "flashVer"); p = amf_s(p, "LNX 9,0,124,2");
    p = amf_k(p, "tcUrl"); p = amf_s(p, tc);
    p = amf_k(p, "fpad"); *p++ = 1; *p++ = 0;
    p = amf_k(p, "capabilities"); p = amf_n(p, 15);
    p = amf_k(p, "audioCodecs"); p = amf_n(p, 4071);
    p = amf_k(p, "videoCodecs"); p = amf_n(p, 252);
    p = amf_k(p, "videoFunction"); p = amf_n(p, 1);
    *p++ = 0; *p++ = 0; *p++ = 9;
    send_msg(c, 3, 20, 0, b, (uint32_t)(p - b));
}
static void send_play(conn_t *c) {
    uint8_t b[256], *p = b; char nm[96];
    if (M > 0) snprintf(nm, sizeof nm, "%s%d", name, c->idx % M); else snprintf(nm, sizeof nm, "%s", name);
    p = amf_s(p, "play"); p = amf_n(p, 4); *p++ = 5; p = amf_s(p, nm); p = amf_n(p, -2000);
    send_msg(c, 8, 20, (uint32_t)c->streamid, b, (uint32_t)(p - b));
    uint8_t u[10] = {0, 3, 0, 0, 0, (uint8_t)c->streamid, 0, 0, 0x0b, 0xb8};
    send_msg(c, 2, 4, 0, u, 10);
}

/* a whole message has arrived; head holds its first bytes */
static void on_msg(conn_t *c, cs_t *s, int64_t now) {
    const uint8_t *h = s->head;
    switch (s->type) {
    case 1: if (s->hn >= 4) c->chunk = get32(h) & 0x7fffffff; break;
    case 4: /* user control: answer ping */
        if (s->hn >= 6 && h[0] == 0 && h[1] == 6) { uint8_t u[6] = {0, 7, h[2], h[3], h[4], h[5]}; send_msg(c, 2, 4, 0, u, 6); }
        break;
    case 5: if (s->hn >= 4) c->win = get32(h); break;
    case 20: case 17: {
        const uint8_t *p = h + (s->type == 17);
        if (p[0] == 2 && p[2] == 7 && !memcmp(p + 3, "_result", 7)) {
            if (c->state == 1) {
                uint8_t b[64], *q = b; q = amf_s(q, "createStream"); q = amf_n(q, 2); *q++ = 5;
                send_msg(c, 3, 20, 0, b, (uint32_t)(q - b)); c->state = 2;
            } else if (c->state == 2 && p[10] == 0 && p[19] == 5 && p[20] == 0) {
                uint64_t u = 0; for (int i = 0; i < 8; i++) u = u << 8 | p[21 + i];
                double d; memcpy(&d, &u, 8); c->streamid = (int)d;
                send_play(c); c->state = 3;
            }
        }
        break; }
    case 8: case 9: case 22: {
        if (s->type == 22) { c->omsg++; break; }
        if (!c->tfirst) c->tfirst = now;
        if (s->type == 9) {
            uint32_t seq; int64_t t = 0; int st = 0;
            if (s->hn > 9 && h[1] == 1) st = stamp_read(h + 9, (int)s->hn - 9, &seq, &t);
            if (st) {
                if (c->gotstamp && seq > c->seq + 1 && phase == 2) {
                    c->lost += seq - c->seq - 1;
                    c->gaps++;
                    if (h[0] >> 4 != 1) c->bad_resumes++; /* FLV frame type 1: key frame */
                }
                c->gotstamp = 1; c->seq = seq;
            }
            if (phase == 2 && now >= win_start) {
                if (c->lastv) { int64_t g = now - c->lastv; if (g > c->maxgap) c->maxgap = g; if (g > 1000000) c->stalls++; }
                if (st && t >= win_start) { int64_t l = now - t; hist_add(l); if (l > c->maxlat) c->maxlat = l; }
                c->vmsg++;
                int64_t rel = now - (int64_t)s->ts * 1000;
                if (!c->firstv) { c->firstv = now; c->rel_min = c->rel_max = rel; }
                if (rel < c->rel_min) c->rel_min = rel;
                if (rel > c->rel_max) c->rel_max = rel;
            }
            c->lastv = now;
        } else if (phase == 2) c->amsg++;
        break; }
    default: break;
    }
}
/* feed bytes; returns 0 or -1 */
static int feed(conn_t *c, const uint8_t *p, size_t n, int64_t now) {
    c->rx += n;
    if (phase == 2) c->bytes += n;
    while (n) {
        if (c->cleft) {
            uint32_t k = c->cleft < n ? c->cleft : (uint32_t)n;
            cs_t *s = c->cur;
            if (s->hn < HEAD) { uint32_t w = HEAD - s->hn < k ? HEAD - s->hn : k; memcpy(s->head + s->hn, p, w); s->hn += w; }
            p += k; n -= k; c->cleft -= k; s->left -= k;
            if (!s->left) { on_msg(c, s, now); s->hn = 0; }
            continue;
        }
        c->hd[c->hdn++] = *p++; n--;
        uint8_t *h = c->hd; int fmt = h[0] >> 6, bl = (h[0] & 63) == 0 ? 2 : (h[0] & 63) == 1 ? 3 : 1;
        if (c->hdn < bl) continue;
        static const int ml[4] = {11, 7, 3, 0};
        int need = bl + ml[fmt];
        if (c->hdn < need) continue;
        uint32_t id = bl == 1 ? (h[0] & 63) : bl == 2 ? 64u + h[1] : 64u + h[1] + 256u * h[2];
        cs_t *s = NULL;
        for (int i = 0; i < NCS; i++) { if (c->cs[i].used && c->cs[i].id == id) { s = &c->cs[i]; break; } if (!c->cs[i].used) { s = &c->cs[i]; s->used = 1; s->id = id; break; } }
        if (!s) return -1;
        int ext = fmt < 3 ? get24(h + bl) == 0xffffff : s->ext;
        if (ext && c->hdn < need + 4) continue;
        uint32_t t = fmt < 3 ? get24(h + bl) : 0;
        if (ext) t = get32(h + need);
        if (fmt < 2) { s->len = get24(h + bl + 3); s->type = h[bl + 6]; }
        if (fmt == 0) s->sid = h[bl + 7];
        int fresh = s->left == 0;
        if (fmt < 3) s->ext = (uint8_t)ext;
        if (fresh) {
            if (fmt == 0) { s->ts = t; s->delta = 0; } else if (fmt < 3) { s->delta = t; s->ts += t; } else s->ts += s->delta;
            s->left = s->len;
        }
        c->hdn = 0; c->cur = s;
        c->cleft = s->left < c->chunk ? s->left : c->chunk;
        if (fresh) s->hn = 0;
        if (!s->left) on_msg(c, s, now);
    }
    if (c->win && c->rx - c->acked >= c->win) { /* acknowledgement */
        uint8_t b[4] = {(uint8_t)(c->rx >> 24), (uint8_t)(c->rx >> 16), (uint8_t)(c->rx >> 8), (uint8_t)c->rx};
        c->acked = c->rx; send_msg(c, 2, 3, 0, b, 4);
    }
    return 0;
}
static volatile int next_idx; static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static void *connector(void *x) {
    (void)x;
    static __thread uint8_t b[65536];
    for (;;) {
        pthread_mutex_lock(&mu); int i = next_idx < N ? next_idx++ : -1; pthread_mutex_unlock(&mu);
        if (i < 0) return NULL;
        conn_t *c = &conns[i]; c->idx = i; c->chunk = 128;
        int ok = 0;
        if (!c_open(c)) {
            memset(b, 0, 1537); b[0] = 3;
            if (!c_send(c, b, 1537)) {
                size_t got = 0; ssize_t k;
                while (got < 3073 && (k = c_recv(c, b + got, 3073 - got)) > 0) got += (size_t)k;
                if (got == 3073 && !c_send(c, b + 1, 1536)) {
                    c->state = 1; send_connect(c);
                    while (c->state < 3 && (k = c_recv(c, b, sizeof b)) > 0) if (feed(c, b, (size_t)k, now_us())) break;
                    ok = c->state == 3;
                }
            }
        }
        if (ok) {
            nb(c->fd);
            struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
            epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
            __sync_fetch_and_add(&connected, 1);
        } else { if (c->fd >= 0) close(c->fd); c->closed = 1; __sync_fetch_and_add(&failed, 1); }
    }
}
static int cmpd(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return x < y ? -1 : x > y; }
int main(int ac, char **av) {
    int o;
    while ((o = getopt(ac, av, "h:p:u:n:s:d:c:m:")) != -1) switch (o) {
        case 'h': ip = optarg; break; case 'p': port = atoi(optarg); break; case 'n': N = atoi(optarg); break;
        case 'u': { char *s = strchr(optarg, '/'); *s = 0; app = optarg; name = s + 1; break; }
        case 's': settle = atoi(optarg); break; case 'd': dur = atoi(optarg); break; case 'c': nconnectors = atoi(optarg); break; case 'm': M = atoi(optarg); break;
        default: return 1;
    }
    signal(SIGPIPE, SIG_IGN);
#ifdef TLS
    tls = SSL_CTX_new(TLS_client_method()); SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
#endif
    struct rlimit rl = {20000, 20000}; setrlimit(RLIMIT_NOFILE, &rl);
    conns = calloc((size_t)N, sizeof *conns);
    ep = epoll_create1(0);
    int64_t t0 = now_us();
    pthread_t th[64];
    for (int i = 0; i < nconnectors; i++) pthread_create(&th[i], NULL, connector, NULL);
    static uint8_t buf[1 << 20]; struct epoll_event ev[512];
    int64_t limit = t0 + 120000000, ready_at = 0; double cpu0 = 0, cpu1 = 0;
    while (phase < 3) {
        int n = epoll_wait(ep, ev, 512, 20);
        int64_t now = now_us();
        if (phase == 0 && connected + failed == N) { phase = 1; ready_at = now; printf("READY %d %d %.3f\n", connected, failed, (now - t0) / 1e6); fflush(stdout); }
        if (phase == 0 && now > limit) { printf("TIMEOUT %d %d\n", connected, failed); return 3; }
        if (phase == 1 && now >= ready_at + (int64_t)settle * 1000000) { win_start = now; win_end = now + (int64_t)dur * 1000000; phase = 2; cpu0 = self_cpu(); printf("START\n"); fflush(stdout); }
        if (phase == 2 && now >= win_end) { phase = 3; cpu1 = self_cpu(); win_end = now; printf("END\n"); fflush(stdout); break; }
        for (int i = 0; i < n; i++) {
            conn_t *c = ev[i].data.ptr;
            for (;;) {
                ssize_t k = c_recv(c, buf, sizeof buf); g_recv_calls += phase == 2;
                if (k > 0) { if (feed(c, buf, (size_t)k, now_us())) { c->closed = 2; close(c->fd); break; }
#ifndef TLS /* a TLS record is shorter: there the next call tells that nothing is left */
                    if (k < (ssize_t)sizeof buf) break;
#endif
                }
                else { if (k < 0 && (errno == EAGAIN || errno == EINTR)) break; c->closed = 3; close(c->fd); break; }
            }
        }
    }
    uint64_t bytes = 0, v = 0, a = 0, om = 0, lost = 0, gaps = 0, bad_resumes = 0, stalls = 0; int alive = 0, lag = 0, lossy = 0, stalled = 0, nodata = 0, minv = 1 << 30, maxv = 0; int64_t maxgap = 0;
    double *ml = calloc((size_t)N, sizeof *ml), *rl2 = calloc((size_t)N, sizeof *rl2); int nm = 0, nr = 0;
    int64_t end = win_end;
    for (int i = 0; i < N; i++) {
        conn_t *c = &conns[i];
        bytes += c->bytes; v += c->vmsg; a += c->amsg; om += c->omsg; lost += c->lost; gaps += c->gaps; bad_resumes += c->bad_resumes; stalls += c->stalls;
        if (!c->closed) alive++;
        if (!c->vmsg) { nodata++; continue; }
        if (end - c->lastv > c->maxgap) c->maxgap = end - c->lastv;
        if ((int)c->vmsg < minv) minv = (int)c->vmsg;
        if ((int)c->vmsg > maxv) maxv = (int)c->vmsg;
        if (c->maxgap > maxgap) maxgap = c->maxgap;
        int64_t rel = c->rel_max - c->rel_min;
        if (c->maxlat > 1000000 || c->maxgap > 1000000 || (!c->gotstamp && rel > 1500000)) lag++;
        if (c->lost) lossy++;
        if (c->stalls) stalled++;
        if (c->gotstamp) ml[nm++] = c->maxlat / 1000.0;
        rl2[nr++] = rel / 1000.0;
    }
    qsort(ml, (size_t)nm, sizeof *ml, cmpd); qsort(rl2, (size_t)nr, sizeof *rl2, cmpd);
    double secs = (win_end - win_start) / 1e6;
    printf("{\"players\":%d,\"connected\":%d,\"failed\":%d,\"alive\":%d,\"nodata\":%d,\"secs\":%.3f,\"bytes\":%llu,\"mbit\":%.3f,\"vmsg\":%llu,\"amsg\":%llu,\"aggr\":%llu,"
           "\"vmsg_min\":%d,\"vmsg_max\":%d,\"lost\":%llu,\"gaps\":%llu,\"bad_resumes\":%llu,\"lossy_players\":%d,\"stalls\":%llu,\"stalled_players\":%d,\"lagging_players\":%d,\"max_gap_ms\":%.1f,"
           "\"lat_n\":%llu,\"lat_p50_ms\":%.3f,\"lat_p90_ms\":%.3f,\"lat_p99_ms\":%.3f,\"lat_max_ms\":%.3f,\"player_maxlat_p50_ms\":%.1f,\"player_maxlat_max_ms\":%.1f,\"player_reljit_p50_ms\":%.1f,"
           "\"client_cpu\":%.4f,\"recv_per_s\":%.1f}\n",
           N, connected, failed, alive, nodata, secs, (unsigned long long)bytes, bytes * 8 / 1e6, (unsigned long long)v, (unsigned long long)a, (unsigned long long)om,
           minv == 1 << 30 ? 0 : minv, maxv, (unsigned long long)lost, (unsigned long long)gaps, (unsigned long long)bad_resumes, lossy, (unsigned long long)stalls, stalled, lag, maxgap / 1000.0,
           (unsigned long long)hist_n, hist_q(.5) / 1000, hist_q(.9) / 1000, hist_q(.99) / 1000, hist_max / 1000.0, nm ? ml[nm / 2] : -1, nm ? ml[nm - 1] : -1, nr ? rl2[nr / 2] : -1,
           (cpu1 - cpu0) / secs, g_recv_calls / secs);
    return 0;
}

-- Written for this test: a configuration with everything that the 1.7 generation shipped.
configuration =
{
  daemon = false, instancesCount = -1, pathSeparator = "/", clientSideBuffer = 20, maxRTSPOutBuffer = 65536,
  logAppenders =
  {
    { name = "console appender", type = "coloredConsole", level = 6 },
    { name = "file appender", type = "file", level = 6, fileName = "../logs/evostream" },
  },
  eventLogger = { customData = 7, sinks = { { type = "file", filename = "../logs/server", format = "w3c" } } },
  applications =
  {
    rootDirectory = "./",
    {
      appDir = "./", name = "evostreamms", description = "EVOSTREAM MEDIA SERVER", protocol = "dynamiclinklibrary",
      default = true, aliases = { "er", "live", "vod" }, validateHandshake = false, hlsVersion = 3,
      pushPullPersistenceFile = "../config/pushPullSetup.xml", authPersistenceFile = "../config/auth.xml",
      connectionsLimitPersistenceFile = "../config/connlimits.xml",
      bandwidthLimitPersistenceFile = "../config/bandwidthlimits.xml",
      ingestPointsPersistenceFile = "../config/ingestpoints.xml",
      streamsExpireTimer = 10, rtcpDetectionInterval = 15, hasStreamAliases = false, hasIngestPoints = false,
      maxRtmpOutBuffer = 512*1024, useSourcePts = false, enableCheckBandwidth = true, vodRedirectRtmpIp = "",
      forceRtmpDatarate = false,
      mediaStorage = { recordedStreamsStorage = "../media", { description = "Default media storage", mediaFolder = "../media" } },
      acceptors =
      {
        { ip = "127.0.0.1", port = 1112, protocol = "inboundJsonCli", useLengthPadding = true },
        { ip = "127.0.0.1", port = 7777, protocol = "inboundHttpJsonCli" },
        { ip = "127.0.0.1", port = 1222, protocol = "inboundAsciiCli", useLengthPadding = true },
        { ip = "0.0.0.0", port = 1935, protocol = "inboundRtmp" },
        { ip = "127.0.0.1", port = 1936, protocol = "inboundRtmp", clustering = true },
        { ip = "127.0.0.1", port = 1113, protocol = "inboundBinVariant", clustering = true },
        { ip = "0.0.0.0", port = 5544, protocol = "inboundRtsp" },
        { ip = "0.0.0.0", port = 6666, protocol = "inboundLiveFlv", waitForMetadata = true },
        -- { ip = "0.0.0.0", port = 9999, protocol = "inboundTcpTs" },
        { ip = "0.0.0.0", port = 8080, protocol = "inboundHttp" },
        { ip = "0.0.0.0", port = 8100, protocol = "inboundJsonMeta" },
        { ip = "0.0.0.0", port = 8210, protocol = "wsJsonMeta" },
        { ip = "0.0.0.0", port = 8410, protocol = "inboundWSFMP4" },
      },
    },
  },
}

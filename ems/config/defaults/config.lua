-- The configuration of EMS.
--
-- This file is a Lua program that sets the table "configuration": it may compute and have variables of its own.
-- docs/configuration.md describes every key. Keys are understood in any case, and a name that the server does not know is
-- reported at start with the nearest one that it knows. Relative paths start at the runtime directory, the one that holds
-- config/, media/, webroot/ and logs/.

configuration = {
    daemon = false,
    instancesCount = 0,
    pathSeparator = "/",

    -- Levels: 0 fatal, 1 error, 2 warning, 3 info, 4 debug, 5 fine, 6 finest, -1 nothing.
    logAppenders = {
        { name = "console", type = "coloredConsole", level = 3 },
        {
            name = "file",
            type = "file",
            level = 4,
            fileName = "logs/ems",
            fileHistorySize = 10,
            fileLength = 4 * 1024 * 1024,
            singleLine = true,
        },
    },

    applications = {
        rootDirectory = "./",
        {
            name = "evostreamms",
            appDir = "./",
            description = "EMS",
            default = true,
            aliases = { "live", "vod", "er" },

            -- The stream name of the demonstration clip, which runs as soon as the server does; "" switches it off.
            demoStream = "demo",

            -- How many milliseconds a frame may wait so that a large audience gets several in one write.
            maxMergeDelay = 100,

            validateHandshake = false,
            enableCheckBandwidth = true,
            maxRtmpOutBuffer = 512 * 1024,
            maxRtspOutBuffer = 512 * 1024,
            rtcpDetectionInterval = 15,
            streamsExpireTimer = 10,
            hasStreamAliases = false,
            hasIngestPoints = false,
            hlsVersion = 6,
            useSourcePts = false,

            -- What commands change and a restart must not forget.
            pushPullPersistenceFile = "config/pushPullSetup.xml",
            authPersistenceFile = "config/auth.xml",
            connectionsLimitPersistenceFile = "config/connlimits.xml",
            bandwidthLimitPersistenceFile = "config/bandwidthlimits.xml",
            ingestPointsPersistenceFile = "config/ingestpoints.xml",

            mediaStorage = {
                { mediaFolder = "media", description = "Default media storage" },
            },

            -- Where the server listens. The doors of the API have no password: they are for this machine only.
            acceptors = {
                { ip = "0.0.0.0", port = 1935, protocol = "inboundRtmp" },
                { ip = "0.0.0.0", port = 8080, protocol = "inboundRtmpt" },
                { ip = "0.0.0.0", port = 4443, protocol = "inboundRtmps", optional = true,
                  sslKey = "config/server.key", sslCert = "config/server.cert" },

                { ip = "0.0.0.0", port = 5544, protocol = "inboundRtsp" },
                { ip = "0.0.0.0", port = 6666, protocol = "inboundLiveFlv", waitForMetadata = true },
                { ip = "0.0.0.0", port = 9999, protocol = "inboundTcpTs", localStreamName = "tcpTs" },
                { ip = "0.0.0.0", port = 9999, protocol = "inboundUdpTs", localStreamName = "udpTs" },

                { ip = "0.0.0.0", port = 8110, protocol = "inboundJsonMeta" },
                { ip = "0.0.0.0", port = 8210, protocol = "wsJsonMeta" },
                { ip = "0.0.0.0", port = 8433, protocol = "wssJsonMeta", optional = true,
                  sslKey = "config/server.key", sslCert = "config/server.cert" },

                { ip = "0.0.0.0", port = 8410, protocol = "inboundWSFMP4" },
                { ip = "0.0.0.0", port = 8420, protocol = "inboundWSSFMP4", optional = true,
                  sslKey = "config/server.key", sslCert = "config/server.cert" },

                { ip = "127.0.0.1", port = 1112, protocol = "inboundJsonCli", useLengthPadding = true },
                { ip = "127.0.0.1", port = 1222, protocol = "inboundAsciiCli" },
                { ip = "127.0.0.1", port = 7777, protocol = "inboundHttpJsonCli" },
            },

            -- A Python console into the running server, over SSH; off while the port is 0.
            manhole = { port = 0, ip = "127.0.0.1", authorizedKeys = "config/authorized_keys" },

            -- Publishers over RTMP log in while config/auth.xml says so (the command setAuthentication).
            -- authentication = {
            --     rtmp = { type = "adobe", usersFile = "config/users.lua" },
            -- },
        },
    },
}

-- The configuration of the web server (EWS), which is a part of EMS.
--
-- Like config.lua this is a Lua program that sets the table "configuration". docs/web_server.md describes every key. Keys are
-- understood in any case; relative paths start at the runtime directory. Without this file the defaults count, which are
-- the values that are written here.

configuration = {
    applications = {
        rootDirectory = "./",
        {
            name = "webserver",
            description = "Built-In Web Server",
            port = 8888,
            bindToIP = "",
            useIPV6 = true,

            -- "always", "auto" (HTTPS if key and certificate can be used, else HTTP) or "disabled".
            sslMode = "disabled",
            sslKeyFile = "config/server.key",
            sslCertFile = "config/server.cert",

            -- Files: first those of this folder, then the pages that come with EMS.
            webRootFolder = "webroot",
            enableRangeRequests = true,
            compress = true,

            -- Who may play the media in pages of other sites: "*", one origin, or "" for nobody.
            allowOrigin = "*",

            maxConcurrentConnections = 5000,
            maxConcurrentConnectionsSameIP = 1000,
            maxMemSizePerConnection = 64 * 1024,
            connectionTimeout = 60,
            threadPoolSize = 4,
            mediaFileDownloadTimeout = 30,

            -- Streams by single-use names only: see the command addGroupNameAlias.
            hasGroupNameAliases = false,

            -- Answer 403 to addresses by these lists, one address or network a line.
            enableIPFilter = false,
            whitelistFile = "config/whitelist.txt",
            blacklistFile = "config/blacklist.txt",

            -- The runtime API for those who know the password: http://user:password@host:8888/ems/<command>. As long as this is
            -- not set, programs and browsers of this machine may use it at /api/ without one, and nobody else.
            -- apiProxy = { authentication = "basic", userName = "user", password = "secret", pseudoDomain = "ems" },

            -- Folders that ask for a password; a line of the file is user:md5-of-the-password.
            -- auth = { { domain = "private", digestFile = "config/web.passwords", enable = true } },

            -- More headers, more types of files, addresses that have moved.
            -- includeResponseHeaders = { { header = "X-Frame-Options", content = "SAMEORIGIN", override = false } },
            -- supportedMimeTypes = { { extensions = "m3u8", mimeType = "audio/x-mpegurl", streamType = "hls", isManifest = true } },
            -- redirects = { { from = "/EMS_Web_UI/index.php", to = "/" } },
        },
    },
}

-- Written for this test: a configuration with everything that the 2.0 generation shipped, commented doors included.
local config_folder = "../config/"
local megabyte = 1024 * 1024

configuration =
{
	daemon=false,
	instancesCount=-1,
	pathSeparator="/",

	logAppenders=
	{
		{ name="console appender", type="coloredConsole", level=4, },
		{
			name="file appender", type="file", level=6, fileName="../logs/evostreamms",
			newLineCharacters="\n", fileHistorySize=10, fileLength=megabyte, singleLine=true, clearLogsOnStart=false,
		},
	},

	applications=
	{
		rootDirectory="./",
		{
			name="evostreamms",
			appDir="./",
			description="EVOSTREAM MEDIA SERVER",
			protocol="dynamiclinklibrary",
			default=true,
			pushPullPersistenceFile=config_folder.."pushPullSetup.xml",
			authPersistenceFile=config_folder.."auth.xml",
			connectionsLimitPersistenceFile=config_folder.."connlimits.xml",
			bandwidthLimitPersistenceFile=config_folder.."bandwidthlimits.xml",
			ingestPointsPersistenceFile=config_folder.."ingestpoints.xml",
			streamsExpireTimer=10,
			rtcpDetectionInterval=15,
			hasStreamAliases=false,
			hasIngestPoints=false,
			validateHandshake=false,
			aliases={ "er", "live", "vod", },
			maxRtmpOutBuffer=512*1024,
			maxRtspOutBuffer=512*1024,
			hlsVersion=6,
			useSourcePts=false,
			enableCheckBandwidth=true,
			vodRedirectRtmpIp="",
			forceRtmpDatarate=false,
			sendRtspRangeHeaders=false,
			serverNameStreamPrefix="",
			runWebServer=true,
			runWebUI=true,
			mediaStorage=
			{
				recordedStreamsStorage="../media",
				{
					description="Default media storage",
					mediaFolder="../media",
				},
				--[[ {
					mediaFolder="/mnt/films", metaFolder="/tmp/metadata", enableStats=true, keyframeSeek=false,
				}, ]]
				sample={
					description="Storage example",
					mediaFolder="../media/films",
					metaFolder="../media/meta",
					enableStats=false,
					clientSideBuffer=15,
					keyframeSeek=true,
					seekGranularity=0.1,
					externalSeekGenerator=false,
				},
			},
			acceptors=
			{
				{ ip="0.0.0.0", port=1112, protocol="inboundJsonCli", useLengthPadding=true },
				{ ip="0.0.0.0", port=7777, protocol="inboundHttpJsonCli" },
				{ ip="0.0.0.0", port=1222, protocol="inboundAsciiCli", useLengthPadding=true },
				{ ip="0.0.0.0", port=1935, protocol="inboundRtmp" },
				{ ip="127.0.0.1", port=1936, protocol="inboundRtmp", clustering=true },
				{ ip="127.0.0.1", port=1113, protocol="inboundBinVariant", clustering=true },
				{ ip="0.0.0.0", port=5544, protocol="inboundRtsp", multicast={ ip="224.2.1.39", ttl=127 } },
				{ ip="0.0.0.0", port=6666, protocol="inboundLiveFlv", waitForMetadata=true },
				{ ip="0.0.0.0", port=9998, protocol="inboundTcpTs", localStreamName="testTcp" },
				{ ip="0.0.0.0", port=9898, protocol="inboundUdpTs", localStreamName="testUcp" },
				{ ip="0.0.0.0", port=8100, protocol="inboundJsonMeta", streamname="test" },
				{ ip="0.0.0.0", port=8210, protocol="wsJsonMeta", streamname="test" },
				{
					ip="0.0.0.0", port=8433, protocol="wssJsonMeta", streamname="test",
					sslKey="../config/server.key", sslCert="../config/server.cert",
				},
				{ ip="0.0.0.0", port=8410, protocol="inboundWSFMP4" },
			},
			autoHLS={ targetFolder="../evo-webroot", chunkLength=10, playlistLength=10, cleanupDestination=true },
			drm={ type="verimatrix", requestTimer=1, reserveKeys=10, reserveIds=10,
				urlPrefix="http://keys.example.net:12684/CAB/keyfile" },
			authentication=
			{
				rtmp={
					type="adobe",
					encoderAgents={ "FMLE/3.0 (compatible; FMSc/1.0)", "EvoStream Media Server (www.evostream.com)", },
					usersFile="../config/users.lua",
				},
				rtsp={ usersFile="../config/users.lua", authenticatePlay=false },
				ws={ token="" },
			},
			transcoder={
				scriptPath="emsTranscoder.sh", srcUriPrefix="rtsp://localhost:5544/", dstUriPrefix="-f flv tcp://localhost:6666/",
			},
			mp4BinPath="./evo-mp4writer",
			webrtc={ sslKey="../config/server.key", sslCert="../config/server.cert" },
			eventLogger=
			{
				sinks=
				{
					{ type="RPC", url="http://127.0.0.1:4100/streams/update-list", serializerType="JSON",
						enabledEvents={ "inStreamCreated", "inStreamClosed" } },
					{ type="file", filename="../logs/events.txt", format="text", timestamp=true, customData={ site="lab" } },
				},
			},
		},
	},
}

package wire

// steps are what actions are to somebody who asked for something else: the beginning of an
// error of theirs. The names of the actions are for the two ends of a connection alone. One
// that is all that was asked for has no words: whoever asked says what that was.
var steps = map[string]string{
	ActionHello:          "reach the agent",
	ActionExtractArchive: "unpack an archive",
	ActionExportArchive:  "pack an archive",
	ActionInstallSecrets: "put the secrets in place",
	ActionPush:           "put the files in place",
	ActionCompare:        "compare the files",
	ActionWalk:           "look through the files",
	ActionHash:           "read the files",
	ActionPull:           "fetch the files",
	ActionDial:           "connect to the port",
	ActionWatchServices:  "watch the services",

	ActionExec: "", ActionStream: "",
	ActionList: "", ActionStat: "", ActionReadFile: "", ActionReadRange: "", ActionWriteFile: "", ActionPut: "",
	ActionDelete: "", ActionRemove: "", ActionMakeDir: "", ActionMove: "", ActionPatch: "",
	ActionOpenShell: "", ActionReadShell: "", ActionWriteShell: "", ActionSignalShell: "", ActionCloseShell: "",
	ActionListShells: "", ActionResizeShell: "", ActionAttachShell: "",
	ActionStartService: "", ActionStatusService: "", ActionLogsService: "", ActionStopService: "",
	ActionListServices: "", ActionFollowService: "",
}

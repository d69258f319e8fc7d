package check

var byHandChecks = []Check{
	{
		ID: "executable", Section: "8", Severity: Must, try: checkExecutable,
		Wants: "The file can be executed, is not empty, and only its owner may write to it.",
		Why:   "A host executes the very file that it has looked at, and takes none that others could have changed.",
		Fix:   "chmod 755; begin a script with #! and an interpreter that is there; build for this system.",
	},
	{
		ID: "by-hand", Section: "2", Severity: Must, try: checkByHand,
		Wants: "Started without the cookie it says a sentence on standard error and ends with a status other than 0.",
		Why:   "Somebody who starts a plugin by hand should learn what it is, not wait for a host.",
		Fix:   "Compare GEOMILL_PLUGIN with the cookie before anything else; print what the program is and exit with 2.",
	},
	{
		ID: "by-hand-describe", Section: "8", Severity: Should, try: checkDescribe,
		Wants: "Started by hand with describe it prints a JSON object of name, version and processes.",
		Why:   "People and tools look at a plugin before they trust it.",
		Fix:   "Print {\"name\", \"version\", \"processes\": [...]} to standard output and exit with 0.",
	},
	{
		ID: "by-hand-version", Section: "8", Severity: Should, try: checkVersion,
		Wants: "Started by hand with version it prints its name and version in a line.",
		Why:   "It is the first question when something does not work.",
		Fix:   "Print both in one line to standard output and exit with 0.",
	},
}

var startChecks = []Check{
	{
		ID: stepHandshake, Section: "2", Severity: Must, try: step(stepHandshake),
		Wants: "Started by a host it writes the handshake line within 10 seconds.",
		Why:   "A host waits no longer, and kills it.",
		Fix:   "Load what takes long after the line, at the first job; see its last words for why it ended.",
	},
	{
		ID: stepQuiet, Section: "2", Severity: Must, try: step(stepQuiet),
		Wants: "Nothing is on standard output before the handshake line.",
		Why:   "The first line is the handshake, whatever wrote it.",
		Fix:   "Keep a copy of standard output and point standard output at standard error, first thing.",
	},
	{
		ID: stepLine, Section: "2", Severity: Must, try: step(stepLine),
		Wants: "The handshake line is 1|VERSION|unix|SOCKET|grpc| with an offered version and no certificate.",
		Why:   "A host connects to what the line says, and to nothing else.",
		Fix:   "Write the line as section 2 shows it, with a line feed, and flush.",
	},
	{
		ID: stepSocket, Section: "2", Severity: Must, try: step(stepSocket),
		Wants: "The socket is in PLUGIN_UNIX_SOCKET_DIR, and the process that was started serves it when the line is there.",
		Why:   "A host talks only to the process that it started, in a directory that is private to it.",
		Fix:   "Write the line after the server listens; end wrapper scripts in exec.",
	},
	{
		ID: stepHealth, Section: "3", Severity: Must, try: step(stepHealth),
		Wants: "grpc.health.v1.Health/Check says SERVING of the service plugin.",
		Why:   "go-plugin asks for it.",
		Fix:   "Register the health service with the status SERVING for the name plugin.",
	},
	{
		ID: stepInfo, Section: "4", Severity: Must, try: checkInfo,
		Wants: "GetInfo gives a name of the form [a-z0-9][a-z0-9._-]*, a semantic version, what it was built with, and an instance id.",
		Why:   "Operators pin, compare and roll back plugins by name and version.",
		Fix:   "Fill in all four fields of GetInfoResponse.",
	},
	{
		ID: "settings-schema", Section: "4", Severity: Must, try: checkSettingsSchema,
		Wants: "The schema of the settings, if there is one, compiles and is of an object.",
		Why:   "A host checks the operator's settings against it before it starts the plugin.",
		Fix:   "Correct GetInfoResponse.settings_schema_json: JSON Schema 2020-12 with type object.",
	},
	{
		ID: stepProcesses, Section: "4", Severity: Must, try: checkProcesses,
		Wants: "ListProcesses answers with at least one process, each with an id of its own.",
		Why:   "Without a process there is nothing to serve.",
		Fix:   "Answer ListProcesses before Configure, too, from what is known without settings.",
	},
	{
		ID: "descriptions", Section: "4", Severity: Must, try: checkDescriptions,
		Wants: "Each description is a process.yaml without links: id, version, at least one output, schemas that compile.",
		Why:   "A host does not offer a process that it cannot check inputs for.",
		Fix:   "Correct what is named; schemas are JSON Schema 2020-12.",
	},
	{
		ID: stepConfigure, Section: "4", Severity: Must, try: step(stepConfigure),
		Wants: "Configure accepts the settings without problems.",
		Why:   "A host does not use an instance that has problems with its settings.",
		Fix:   "Ask for nothing that the settings' schema does not require; name settings with --settings.",
	},
	{
		ID: "describe-agrees", Section: "8", Severity: Should, try: checkDescribeAgrees,
		Wants: "By hand it describes itself as to its host: name, version and processes.",
		Why:   "Whoever looked at it by hand would be misled.",
		Fix:   "Make both answers of the same data.",
	},
	{
		ID: "go-plugin-streams", Section: "3", Severity: Must, try: checkStreams,
		Wants: "The streams GRPCStdio/StreamStdio and GRPCBroker/StartStream are there and stay open.",
		Why:   "go-plugin opens both with the connection.",
		Fix:   "Serve both; send nothing, and end them at Shutdown.",
	},
	{
		ID: "socket-name", Section: "1", Severity: Should, try: conductOf("socket-name", starts),
		Wants: "The file name of the socket has at most 16 bytes, its path at most 107.",
		Why:   "A longer path is no address of a socket; the directory of a host may be longer than this one.",
		Fix:   "Name the socket plugin and the process id, or shorter.",
	},
}

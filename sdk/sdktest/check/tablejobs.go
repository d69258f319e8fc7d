package check

var jobChecks = []Check{
	{
		ID: "jobs-run", Section: "5", Severity: Must, try: checkJobsRun,
		Wants: "A job of each process gets an end: succeeded, or failed with a problem.",
		Why:   "It is what a plugin is for.",
		Fix:   "See the problem. Give inputs with --inputs, or examples in the schemas, if those made of the schemas are no good.",
	},
	{
		ID: "outputs", Section: "6", Severity: Must, try: checkOutputs,
		Wants: "Outputs are in the description, match their schemas, and their files are as section 6 asks.",
		Why:   "A host refuses a job with a wrong file; clients rely on the schemas.",
		Fix:   "Correct the output or its description. Files are regular, in the job's directory, with one name and the announced size.",
	},
	{
		ID: "examples", Section: "4", Severity: Should, try: checkExamples,
		Wants: "Examples and defaults are right by their schemas, and a job that is given one does not refuse it.",
		Why:   "People and generated clients begin with them.",
		Fix:   "Correct the example, or the schema, or what the process accepts.",
	},
	{
		ID: "no-such-process", Section: "5", Severity: Must, try: checkNoSuchProcess,
		Wants: "A job of a process that is not there fails with NO_SUCH_PROCESS.",
		Why:   "After a plugin was replaced a host may ask for what there was.",
		Fix:   "Answer with failed and a problem of that kind.",
	},
	{
		ID: "bad-input", Section: "5", Severity: Must, try: checkBadInput,
		Wants: "A job with missing, unknown or wrong inputs ends, and the plugin lives on.",
		Why:   "An instance that dies takes all its jobs with it.",
		Fix:   "Catch every exception of a job and answer with failed: INVALID_INPUT or PANIC.",
	},
	{
		ID: "unknown-fields", Section: "7", Severity: Must, try: checkUnknownFields,
		Wants: "Unknown fields of a frame, a message and a start are ignored.",
		Why:   "A later host sends fields that this plugin does not know.",
		Fix:   "Let the protobuf library discard what it does not know.",
	},
	{
		ID: "unknown-message", Section: "5", Severity: Must, try: checkUnknownMessage,
		Wants: "A message of an unknown kind, and a cancel or an attach for no job, are ignored.",
		Why:   "A later host sends messages that this plugin does not know, and a cancel may cross the end of its job.",
		Fix:   "Do nothing when none of the known kinds is set, or the job is not there.",
	},
	{
		ID: "large-frame", Section: "2", Severity: Must, try: checkLargeFrame,
		Wants: "A frame of nearly 16 MiB is accepted.",
		Why:   "A host sends together what waits; many libraries refuse more than 4 MiB.",
		Fix:   "Set the limits of the gRPC server for messages received and sent to 16 MiB.",
	},
	{
		ID: "second-session", Section: "5", Severity: Must, try: checkSecondSession,
		Wants: "A second session is refused with FAILED_PRECONDITION, and the first goes on.",
		Why:   "All jobs of an instance are in one session.",
		Fix:   "Remember that a session is open until its stream has ended.",
	},
	{
		ID: "sixteen-jobs", Section: "8", Severity: Must, try: checkSixteenJobs,
		Wants: "As many jobs in one frame as are allowed, up to 16, get as many ends.",
		Why:   "A frame is a list; what is not read of it is lost.",
		Fix:   "Read every message of a frame, and run jobs beside one another.",
	},
	{
		ID: "slow-reader", Section: "5", Severity: Must, try: checkSlowReader,
		Wants: "While the host does not read Check is answered, and no end gets lost.",
		Why:   "A host that is busy for a moment must not find jobs without an end.",
		Fix:   "Queue messages for one writer; leave out progress and log when the queue is full, never an end.",
	},
	{
		ID: "file-input", Section: "6", Severity: Must, try: checkFileInput,
		Wants: "Inputs of 256 KiB and one byte, which come as files, do as well as small ones in the session.",
		Why:   "What is large comes as a file, for every process.",
		Fix:   "Read a file value relative to Start.job_dir; its JSON may have spaces around it.",
	},
	{
		ID: "memory", Section: "5", Severity: Should, try: checkMemory,
		Wants: "Many runs do not make the process grow.",
		Why:   "An instance is kept for thousands of jobs.",
		Fix:   "Let go of what belongs to a job when it has ended.",
	},
}

var busyChecks = []Check{
	{
		ID: "cancel", Section: "5", Severity: Must, try: checkCancel,
		Wants: "A cancelled job sends an end within its grace time, and the plugin lives on.",
		Why:   "Otherwise a host gives the job up and kills the instance with all its other jobs.",
		Fix:   "Look for the cancel in every loop and every wait, and send an end of any of the three kinds.",
	},
	{
		ID: "cancel-children", Section: "5", Severity: Must, try: checkCancelChildren,
		Wants: "What a cancelled job has started is gone before its end is sent.",
		Why:   "Dismissing a job must end its work.",
		Fix:   "Start the processes of a job in a process group of their own and kill that group.",
	},
	{
		ID: "check-answers", Section: "4", Severity: Must, try: checkCheck,
		Wants: "Check answers while jobs run: ready, with their number, and with none when they have ended.",
		Why:   "After three misses in a row a host kills the instance; by the number it knows what is left.",
		Fix:   "Answer Check in a thread that no job can hold, from a counter of jobs.",
	},
	{
		ID: "second-start", Section: "5", Severity: Must, try: checkSecondStart,
		Wants: "A second start of a job that runs is ignored.",
		Why:   "A job has one end.",
		Fix:   "Look the job up before you begin it.",
	},
}

var limitChecks = []Check{
	{
		ID: "protocol-versions", Section: "2", Severity: Must, try: checkVersions,
		Wants: "Of several versions that are offered it takes the highest that it has too.",
		Why:   "A host speaks its current version and the one before.",
		Fix:   "Split PLUGIN_PROTOCOL_VERSIONS at commas.",
	},
	{
		ID: "instance-id", Section: "4", Severity: Must, try: checkInstanceID,
		Wants: "Every process has an instance id of its own, and the same name and version.",
		Why:   "By it a host knows that it is talking to the process that it knew.",
		Fix:   "Make it of random bytes when the process starts.",
	},
	{
		ID: "processes-stable", Section: "4", Severity: Must, try: checkProcessesStable,
		Wants: "ListProcesses answers the same every time, in every instance.",
		Why:   "A host keeps the answer by the hash of the file and does not ask again.",
		Fix:   "Sort what comes from a map; put no times or random values into descriptions.",
	},
	{
		ID: "file-output", Section: "5", Severity: Must, try: checkFileOutput,
		Wants: "An output larger than Limits.inline_max_bytes goes out as a file.",
		Why:   "Bulk in the session would hold up the other jobs.",
		Fix:   "Write the value to out/ in Start.job_dir, close it, and announce path and size.",
	},
	{
		ID: "slot-freed", Section: "5", Severity: Must, try: checkSlotFreed,
		Wants: "The next start may come as soon as the end of a job is read.",
		Why:   "A host that was told one job at a time sends the next at once.",
		Fix:   "Free the slot of a job before you send its end.",
	},
	{
		ID: "max-concurrency", Section: "4", Severity: Must, try: checkMaxConcurrency,
		Wants: "No more jobs run at once than Limits.max_concurrency; what is refused is BUSY and retryable.",
		Why:   "The operator decides how much an instance may do.",
		Fix:   "Count jobs, and refuse those above the limit with a problem of the kind BUSY and retryable.",
	},
	{
		ID: "session-end", Section: "5", Severity: Must, try: checkSessionEnd,
		Wants: "The end of a session cancels its jobs, and another session may follow.",
		Why:   "Nobody hears the jobs any more.",
		Fix:   "Cancel all jobs of the stream when it ends, for whatever reason.",
	},
	{
		ID: "attach", Section: "5", Severity: Must, try: checkAttach,
		Wants: "With the capability attach, a job goes on when its session ends, and Attach sends again what came after after_seq.",
		Why:   "A host that was restarted goes on with the jobs that were detached from it.",
		Fix:   "Keep the messages of the job until the process ends; on Attach make the session its, and send those above after_seq.",
	},
	{
		ID: "sigint", Section: "2", Severity: Must, try: checkSigint,
		Wants: "SIGINT is ignored.",
		Why:   "A Ctrl-C in the terminal is for the host, which ends its plugins in order.",
		Fix:   "Ignore the signal.",
	},
	{
		ID: "sigterm", Section: "2", Severity: Must, try: checkSigterm,
		Wants: "SIGTERM ends it within 2 seconds, its children and its socket too; half a second is good.",
		Why:   "It is what a host sends before SIGKILL.",
		Fix:   "Do on SIGTERM what Shutdown does.",
	},
}

var endChecks = []Check{
	{
		ID: "drain", Section: "4", Severity: Must, try: checkDrain,
		Wants: "Drain refuses new jobs as BUSY, returns at its deadline or when no job is left, and Check is not ready.",
		Why:   "A plugin is replaced without a job being lost.",
		Fix:   "Set a flag, refuse, and wait for the jobs with the deadline, counted from the call.",
	},
	{
		ID: "shutdown", Section: "3", Severity: Must, try: checkShutdown,
		Wants: "Shutdown ends it with status 0 within 2 seconds, its children and its socket too; half a second is good.",
		Why:   "Whoever does not end is killed.",
		Fix:   "End all streams, stop the server without waiting for them, unlink the socket, exit.",
	},
}

var lastChecks = []Check{
	{
		ID: "no-common-version", Section: "2", Severity: Should, try: checkNoCommonVersion,
		Wants: "If no version is common it says its own.",
		Why:   "The host can then say what does not fit.",
		Fix:   "Put the highest version that you have into the handshake line.",
	},
	{
		ID: "lifeline", Section: "2", Severity: Must, try: checkLifeline,
		Wants: "At end of file on the lifeline it ends within a second, with all that it has started.",
		Why:   "After a crash of the host nobody else would end it.",
		Fix:   "Read the descriptor GEOMILL_LIFELINE_FD in a thread of its own, and do not let children inherit it.",
	},
	{
		ID: "seq-rising", Section: "5", Severity: Must, try: conduct("seq-rising"),
		Wants: "The numbers of the messages of a job rise, from 1.",
		Why:   "A host ignores a message with a number not above the last.",
		Fix:   "Count per job, and count what is left out too.",
	},
	{
		ID: "one-end", Section: "5", Severity: Must, try: conduct("one-end"),
		Wants: "Nothing follows the end of a job.",
		Why:   "What follows is ignored, and its job may be another's by then.",
		Fix:   "Send the end last, once.",
	},
	{
		ID: "own-jobs", Section: "5", Severity: Must, try: conduct("own-jobs"),
		Wants: "Messages are of jobs that were started in this session.",
		Why:   "Others have no place and are ignored.",
		Fix:   "Send the job_id of the start, as it came.",
	},
	{
		ID: "progress-range", Section: "5", Severity: Should, try: conduct("progress-range"),
		Wants: "Progress is from 0 to 100.",
		Why:   "Clients see a percentage; a host cuts off what is outside.",
		Fix:   "Multiply by 100, or divide by it.",
	},
	{
		ID: "inline-limit", Section: "5", Severity: Must, try: conduct("inline-limit"),
		Wants: "No value in the session is larger than 256 KiB.",
		Why:   "Bulk in the session would hold up the other jobs.",
		Fix:   "Put larger values into files of the job's directory.",
	},
	{
		ID: "stdout-after", Section: "8", Severity: Must, try: checkStdoutAfter,
		Wants: "What is written to standard output after the handshake holds up nothing.",
		Why:   "Libraries and child processes print when they like.",
		Fix:   "Point standard output at standard error before the handshake.",
	},
}

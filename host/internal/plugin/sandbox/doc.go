// Package sandbox starts a process with no more rights than it is given. Its
// central type is Machine, which knows the layers that this system offers.
//
// Landlock, seccomp, no_new_privs and capabilities belong to a thread and are
// inherited by what it forks. So Machine.Start takes a thread of its own,
// confines it, forks the process from it and throws the thread away: the rest
// of the host keeps its rights, and no second program has to be executed, which
// would double the time of a start. Resource limits belong to a whole process;
// they are set on the new one right after it was forked.
//
// The layers, each used where the system has it:
//
//	no new privileges   set-uid programs and file capabilities give nothing
//	user                one of the process's own, if the Spec names it
//	capabilities        root's powers are dropped, of one that stays root too
//	Landlock            files by path, TCP, abstract sockets and signals to others
//	seccomp             system calls that plugins have no use for; all networking
//	resource limits     core dumps, open files and what else the Spec names
//
// The package imports nothing of Geomill. It holds no state beside its values.
package sandbox

package check

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// marked returns the processes that have a line in their environment. There are
// none where there is no /proc.
func marked(line string) []int {
	var pids []int
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		env, err := os.ReadFile("/proc/" + name + "/environ")
		if err == nil && bytes.Contains(append([]byte{0}, env...), []byte("\x00"+line+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// resident returns the memory of a process, in bytes; 0 when it is not known.
func resident(pid int) int64 {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if fields := strings.Fields(string(statm)); err == nil && len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}

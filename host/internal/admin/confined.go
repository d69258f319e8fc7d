package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// rights are what a process cannot get back once it has given it up, nor can any
// that it starts.
type rights struct {
	fixed   int // 1: no program gives it new privileges
	filters int // of system calls
}

// rightsOf reads the rights of a process; "self" is this one.
func rightsOf(pid string) (rights, error) {
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return rights{}, err
	}
	return parseRights(string(text)), nil
}

// parseRights takes the rights from the status of a process. What an old kernel
// does not tell is 0.
func parseRights(status string) rights {
	var r rights
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		n, err := strconv.Atoi(strings.TrimSpace(value))
		switch {
		case err != nil:
		case key == "NoNewPrivs":
			r.fixed = n
		case key == "Seccomp_filters":
			r.filters = n
		}
	}
	return r
}

// checkConfined refuses plugins: they run as the user of the host, and the socket
// must not be a way out of their sandbox. They are known by having fewer rights
// than this process.
func checkConfined(pid int) error {
	if pid == 0 {
		return nil // beyond the container of the host, so that it did not start it
	}
	own, err := rightsOf("self")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there is no /proc
	}
	if err != nil {
		return fmt.Errorf("check peer: %w", err)
	}
	theirs, err := rightsOf(strconv.Itoa(pid))
	if err != nil {
		return fmt.Errorf("check peer: %w", err)
	}
	if theirs.fixed > own.fixed || theirs.filters > own.filters {
		return fmt.Errorf("process %d is confined as plugins are, and the server is not", pid)
	}
	return nil
}

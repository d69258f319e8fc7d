package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"geomill/sdk/wire"
)

// clung is a file that was handed over and is still open, and its directory.
var clung struct{ file, dir *os.File }

// cling hands a file over that it keeps open. Told to change it, it does so, in
// every way that it has.
func cling(s wire.Start) (wire.Values, error) {
	if _, again := s.Inputs.Lookup("change"); again {
		_, written := clung.file.WriteAt([]byte("X"), 0)
		self := "/proc/self/fd/" + strconv.Itoa(int(clung.file.Fd()))
		reopened, err := os.OpenFile(self, os.O_WRONLY|os.O_TRUNC, 0)
		if err == nil {
			reopened.Close()
		}
		dir := int(clung.dir.Fd())
		return out(map[string]any{
			"written": text(written), "reopened": text(err), "mode": text(clung.file.Chmod(0o666)),
			"exchanged": text(syscall.Renameat(dir, "second", dir, "first")),
		})
	}
	path := filepath.Join(s.Dir, "out", "first")
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("result"), 0o600),
		os.WriteFile(filepath.Join(s.Dir, "out", "second"), []byte("second"), 0o600))
	if err != nil {
		return nil, err
	}
	if clung.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	if clung.dir, err = os.Open(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return wire.ValuesOf(map[string]wire.Value{"out": {File: path, MediaType: "text/plain"}}), nil
}

// neighbour does to another process, and to its files, what it is told.
func neighbour(s wire.Start) (wire.Values, error) {
	pid, err := strconv.Atoi(string(s.Inputs.Get("pid").Data))
	if err != nil {
		return nil, err
	}
	proc := "/proc/" + strconv.Itoa(pid)
	_, environ := os.ReadFile(proc + "/environ")
	_, memory := os.OpenFile(proc+"/mem", os.O_RDWR, 0)
	_, list := os.ReadDir(string(s.Inputs.Get("list").Data))
	_, work := os.ReadDir(string(s.Inputs.Get("work").Data))
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	return out(map[string]string{
		"signal": text(syscall.Kill(pid, 0)), "environ": text(environ), "memory": text(memory), "list": text(list), "work": text(work),
		"socket": text(syscall.Connect(fd, &syscall.SockaddrUnix{Name: string(s.Inputs.Get("socket").Data)})),
		"user":   strconv.Itoa(os.Geteuid()) + ":" + strconv.Itoa(os.Getegid()),
	})
}

// text is an error in words; "" is success.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

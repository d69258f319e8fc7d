package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"geomill/sdk"
	"geomill/sdk/wire"
	"geomill/sdk/wire/program"
)

// place is where commands with a slash in their names are.
type place struct {
	dir string
	// tools are those that the host has opened, by name; nil: it has not said.
	tools map[string]*opened
}

// opened is a program as the host has hashed it: what is put in its place later is
// not executed.
type opened struct {
	file  *os.File
	size  int64
	mtime time.Time
}

// handedOver returns the manifest and the tools that the host has opened; without
// a host, nothing.
func handedOver() (io.Reader, map[string]*opened, error) {
	value, ok := os.LookupEnv(wire.ManifestFiles)
	if !ok {
		return nil, nil, nil
	}
	if err := os.Unsetenv(wire.ManifestFiles); err != nil { // it is not for the tools
		return nil, nil, err
	}
	number, list, _ := strings.Cut(value, "/")
	first, err := strconv.Atoi(number)
	if err != nil || first <= 2 {
		return nil, nil, fmt.Errorf("%s=%q does not begin with the number of a file descriptor", wire.ManifestFiles, value)
	}
	var manifest io.Reader
	tools := map[string]*opened{}
	for i, name := range strings.Split(list, "/") {
		syscall.CloseOnExec(first + i)
		f := os.NewFile(uintptr(first+i), name)
		fi, err := f.Stat()
		if err != nil {
			return nil, nil, fmt.Errorf("%s=%q: %w", wire.ManifestFiles, value, err)
		}
		if i == 0 {
			manifest = io.NewSectionReader(f, 0, fi.Size()) // others have the same descriptor
			continue
		}
		tools[name] = &opened{f, fi.Size(), fi.ModTime()}
	}
	return manifest, tools, nil
}

// find returns the path of the program that a command begins with, and the
// program itself if the host has opened it.
func (at place) find(first argument) (string, *opened, error) {
	name := first.Text
	if name == "" {
		return "", nil, errors.New("command: must begin with the name of a program")
	}
	path := name
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		path = filepath.Join(at.dir, name)
		if at.tools != nil {
			t, err := at.beside(name, path)
			return path, t, err
		}
	}
	found, err := exec.LookPath(path)
	switch {
	case err == nil:
		return found, nil, executable(found)
	case errors.Is(err, fs.ErrPermission):
		return "", nil, fmt.Errorf("command: %s cannot be executed: chmod +x it", path)
	case strings.Contains(name, "/"):
		return "", nil, fmt.Errorf("command: there is no program %s: put it there, or mend the path", path)
	}
	return "", nil, fmt.Errorf("command: there is no program %s in PATH (%s): install it, or give its whole path", name, os.Getenv("PATH"))
}

// beside returns the tool that a command names relative to the manifest.
func (at place) beside(name, path string) (*opened, error) {
	t, ok := at.tools[filepath.Base(name)]
	if ok && filepath.Dir(path) == filepath.Clean(at.dir) {
		return t, unfit(path, t.file)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("command: there is no program %s beside the manifest: put it there, executable, or mend the name", name)
	}
	return nil, fmt.Errorf("command: %s is not a tool of this manifest, which are the file NAME beside NAME.yaml, "+
		"or all executables beside a manifest in a directory NAME/VERSION: put it there", name)
}

func executable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("command: %s cannot be read: %w", path, errors.Unwrap(err))
	}
	defer f.Close()
	return unfit(path, f)
}

// unfit says why a program cannot be executed, as far as its file tells.
func unfit(path string, f *os.File) error {
	if reason := program.Look(f).Unfit(); reason != "" {
		return fmt.Errorf("command: %s: %s", path, reason)
	}
	return nil
}

// start makes the command of a job.
func (p *process) start(job *sdk.Job, args []string) (*exec.Cmd, error) {
	t := p.tool
	if t == nil {
		return job.Command(p.program, args...), nil
	}
	fi, err := t.file.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at the program: %w", err)
	}
	if fi.Size() != t.size || !fi.ModTime().Equal(t.mtime) {
		return nil, sdk.Retry(errors.New("the program has changed, and the host has not yet taken up the new one"))
	}
	c := job.Command("/proc/self/fd/3", args...)
	c.Args[0], c.ExtraFiles = p.program, []*os.File{t.file}
	return c, nil
}

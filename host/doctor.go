package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"geomill/host/internal/plugin"
	"geomill/host/internal/plugin/sandbox"

	"golang.org/x/sys/unix"
)

// Finding is one thing that Examine looked at.
type Finding struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Covers  string `json:"covers,omitempty"`  // what a layer of the sandbox is for
	Finding string `json:"finding,omitempty"` // what there is, or why it is not OK
	Remedy  string `json:"remedy,omitempty"`  // what to do when it is not
	// Layer says that it is a layer of the sandbox, which "sandbox: strict" asks
	// for unless it is optional.
	Layer    bool `json:"layer"`
	Optional bool `json:"optional,omitempty"`
}

// fewFiles is how many open files are too few for a busy host.
const fewFiles = 4096

// Examine looks at what the host would find on this machine with a
// configuration. It changes nothing and starts no plugin.
func Examine(c Config) []Finding {
	var findings []Finding
	for _, l := range sandbox.Probe().Layers() {
		findings = append(findings, Finding{Name: l.Name, OK: l.Available, Covers: l.Covers, Finding: l.Reason, Remedy: l.Remedy, Layer: true, Optional: l.Optional})
	}
	findings = append(findings, checkUsers(c))
	return append(findings, checkKernel(), checkFiles(), checkPlugins(c.Plugins), checkData(c.Data), checkDisk(c), checkRunDir())
}

// checkUsers looks whether plugins have users of their own. Only a host that is to
// give them some has to be able to.
func checkUsers(c Config) Finding {
	k := Finding{Name: "own-user", Covers: "files, sockets and processes of root and of other plugins", Layer: true, Optional: true}
	r := c.users()
	if r.Zero() {
		k.Finding, k.Remedy = "plugins run as the host's user", "run the host as root with plugin-uids, such as 200000-265535"
		return k
	}
	k.Optional = false
	if err := sandbox.ProbeUsers(r.First, r.Last); err != nil {
		k.Finding, k.Remedy = err.Error(), "start the host as root with its capabilities, or without plugin-uids"
		return k
	}
	k.OK, k.Finding = true, "each plugin has one of "+r.String()
	return k
}

func checkKernel() Finding {
	k := Finding{Name: "kernel", OK: true}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		k.OK, k.Finding = false, err.Error()
		return k
	}
	k.Finding = unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	return k
}

func checkFiles() Finding {
	k := Finding{Name: "open-files"}
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		k.Finding = err.Error()
		return k
	}
	k.OK, k.Finding = l.Max >= fewFiles, fmt.Sprintf("%d at most", l.Max)
	if !k.OK {
		k.Remedy = fmt.Sprintf("start the host with at least %d: ulimit -n, or LimitNOFILE= of systemd", fewFiles)
	}
	return k
}

func checkPlugins(dir string) Finding {
	k := Finding{Name: "plugins-directory"}
	n, refused, err := plugin.CheckDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.OK, k.Finding = true, dir+" does not exist yet"
	case err != nil:
		k.Finding = err.Error()
	case len(refused) > 0:
		k.Finding, k.Remedy = fmt.Sprintf("%s: %d of %d files are refused", dir, len(refused), n+len(refused)), strings.Join(refused, "; ")
	default:
		k.OK, k.Finding = true, fmt.Sprintf("%s has %d files that may be plugins", dir, n)
	}
	return k
}

func checkData(dir string) Finding {
	k := Finding{Name: "data-directory"}
	at, err := existing(dir)
	if err == nil {
		err = unix.Access(at, unix.W_OK|unix.X_OK)
	}
	switch {
	case err != nil:
		k.Finding, k.Remedy = fmt.Sprintf("%s cannot be written to: %v", at, err), "give it to the user of the host"
	case at != dir:
		k.OK, k.Finding = true, dir+" can be made"
	default:
		k.OK, k.Finding = true, dir
	}
	return k
}

func checkDisk(c Config) Finding {
	k := Finding{Name: "disk"}
	at, err := existing(c.Data)
	var s unix.Statfs_t
	if err == nil {
		err = unix.Statfs(at, &s)
	}
	if err != nil {
		k.Finding = err.Error()
		return k
	}
	free := s.Bavail * uint64(s.Bsize)
	k.OK, k.Finding = free > uint64(c.MinFree), fmt.Sprintf("%d MiB free", free>>20)
	if !k.OK {
		k.Remedy = fmt.Sprintf("jobs are refused below %d MiB (min-free)", c.MinFree>>20)
	}
	return k
}

func checkRunDir() Finding {
	dir, err := plugin.CheckRunDir()
	k := Finding{Name: "run-directory", OK: err == nil, Finding: dir}
	if err != nil {
		k.Finding, k.Remedy = fmt.Sprintf("%s: %v", dir, err), "point TMPDIR at a short path that is the host's own"
	}
	return k
}

// existing returns a directory, or that above it which exists.
func existing(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return dir, err
	}
	for at := abs; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == "/" || !errors.Is(err, fs.ErrNotExist) {
			if at == abs {
				at = dir
			}
			return at, err
		}
	}
}

package plugin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"geomill/sdk/wire"

	"github.com/Masterminds/semver/v3"
)

// A plugin is either a bare file, or a directory with versions side by side:
//
//	NAME/VERSION/plugin       or the one executable there, whatever its name
//	NAME/VERSION/plugin.yaml  or NAME.yaml, instead: a manifest of tools (tools.go)
//	NAME/VERSION/plugin.json  optional, see manifest
//	NAME/current              optional symbolic link to a VERSION
//
// The version that counts is current, else the highest.
const (
	versionedFile = "plugin"
	manifestFile  = "plugin.json"
	currentLink   = "current"

	manifestBytes = 64 << 10 // largest manifest that is read
)

// manifest is what may be written beside a plugin about it. It must agree with
// the directories that it lies in, and so with what the plugin says.
type manifest struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// examineVersions looks at the directory of a plugin with versions side by
// side. A candidate without a file name is to be passed over in silence.
func examineVersions(c candidate, uid int) (candidate, *unfit) {
	versions, err := versionsIn(c.path)
	if err != nil {
		return c, &unfit{reason: "cannot be read: " + reasonOf(err)}
	}
	c.available = versions
	current, unfit := currentOf(c.path)
	switch {
	case unfit != nil:
		return c, unfit
	case current != "":
		c.version = current
	case len(versions) == 0:
		return candidate{}, nil
	default:
		c.version = versions[0]
	}
	at := filepath.Join(c.path, c.version)
	for _, d := range []string{c.path, at} {
		if unfit := exposedDir(d, uid); unfit != nil {
			return c, unfit
		}
	}
	file, tools, unfit := manifestOf(at, c.file)
	if unfit == nil && file == "" {
		file, unfit = executableIn(at)
	}
	if unfit != nil {
		return c, unfit
	}
	if unfit := checkManifest(at, c); unfit != nil {
		return c, unfit
	}
	c.path = filepath.Join(at, file)
	if tools != nil {
		return examineManifest(c, tools, uid)
	}
	return examine(c, uid)
}

// IsVersion reports whether a directory of that name holds a version of a plugin.
func IsVersion(name string) bool {
	_, err := semver.NewVersion(name)
	return err == nil && !ignored(name)
}

// versionsIn lists the directories that are named like a version, the highest
// first.
func versionsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	parsed := map[string]*semver.Version{}
	var names []string
	for _, e := range entries {
		if e.IsDir() && IsVersion(e.Name()) {
			parsed[e.Name()] = semver.MustParse(e.Name())
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(parsed[b].Compare(parsed[a]), cmp.Compare(b, a))
	})
	return names, nil
}

// currentOf returns the version directory that the link in dir leads to; empty
// if there is none.
func currentOf(dir string) (string, *unfit) {
	link := filepath.Join(dir, currentLink)
	fi, err := os.Lstat(link)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && fi.Mode()&fs.ModeSymlink == 0 {
		return "", &unfit{reason: link + " is not a symbolic link to a version"}
	}
	var target, home string
	if err == nil {
		target, err = filepath.EvalSymlinks(link)
	}
	if err == nil {
		home, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", &unfit{reason: link + " leads nowhere: " + reasonOf(err)}
	}
	if filepath.Dir(target) != home {
		return "", &unfit{reason: link + " leads to " + target + ", which is not a version beside it"}
	}
	return filepath.Base(target), nil
}

func exposedDir(path string, uid int) *unfit {
	fi, err := os.Stat(path)
	if err != nil {
		return &unfit{reason: path + " cannot be read: " + reasonOf(err)}
	}
	if !fi.IsDir() {
		return &unfit{reason: path + " is not a directory"}
	}
	if u := exposed(path, fi, uid); u != nil {
		return &unfit{path + " is " + u.reason, u.fix}
	}
	return nil
}

// executableIn finds the plugin in a version directory.
func executableIn(dir string) (string, *unfit) {
	if _, err := os.Lstat(filepath.Join(dir, versionedFile)); err == nil {
		return versionedFile, nil
	}
	found, wrong := executablesIn(dir)
	if wrong != nil {
		return "", wrong
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", &unfit{reason: "no executable in " + dir}
	}
	return "", &unfit{reason: fmt.Sprintf("%d executables in %s (%s): name one of them %s", len(found), dir, strings.Join(found, ", "), versionedFile)}
}

// executablesIn lists the executables in a version directory.
func executablesIn(dir string) ([]string, *unfit) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, &unfit{reason: dir + " cannot be read: " + reasonOf(err)}
	}
	var found []string
	for _, e := range entries {
		if ignored(e.Name()) {
			continue
		}
		fi, err := os.Stat(filepath.Join(dir, e.Name()))
		if err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o111 != 0 {
			found = append(found, e.Name())
		}
	}
	return found, nil
}

// checkManifest compares the manifest in a version directory, if there is one,
// with the directories.
func checkManifest(dir string, c candidate) *unfit {
	f, err := os.OpenFile(filepath.Join(dir, manifestFile), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &unfit{reason: manifestFile + " cannot be read: " + reasonOf(err)}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, manifestBytes+1))
	if err != nil {
		return &unfit{reason: manifestFile + " cannot be read: " + reasonOf(err)}
	}
	var m manifest
	if len(text) > manifestBytes {
		return &unfit{reason: fmt.Sprintf("%s is larger than %d bytes", manifestFile, manifestBytes)}
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return &unfit{reason: fmt.Sprintf("%s is not what it should be: %v", manifestFile, err)}
	}
	if text := c.disagreement(m.Name, m.Version); text != "" {
		return &unfit{reason: manifestFile + " " + text}
	}
	return nil
}

// disagreement says how a name and a version differ from the directories of a
// plugin; empty if they agree, or if it is a bare file, which promises nothing.
func (c candidate) disagreement(name, version string) string {
	var parts []string
	if c.version == "" {
		return ""
	}
	if name != c.file {
		parts = append(parts, fmt.Sprintf("gives the name %q, its directory %q", name, c.file))
	}
	if !sameVersion(version, c.version) {
		parts = append(parts, fmt.Sprintf("gives the version %q, its directory %q", version, c.version))
	}
	return strings.Join(parts, ", and ")
}

// sameVersion takes v1.2 and 1.2.0 for the same.
func sameVersion(a, b string) bool {
	if a == b {
		return true
	}
	v, err := semver.NewVersion(a)
	w, err2 := semver.NewVersion(b)
	return err == nil && err2 == nil && v.String() == w.String()
}

// agrees fails when a plugin does not say what its directories do.
func (c candidate) agrees(info wire.Info) error {
	if text := c.disagreement(info.Name, info.Version); text != "" {
		return errors.New("the plugin " + text)
	}
	return nil
}

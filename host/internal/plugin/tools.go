package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"geomill/sdk/wire"
)

// A manifest of command line tools (geomill/sdk/manifest) need not be executable:
// the host's own program then serves it. The plugin is the manifest together with
// the tools that belong to it:
//
//	NAME.yaml                 with the file NAME beside it, if there is one
//	NAME/VERSION/plugin.yaml  or NAME.yaml, with the executables beside it
//
// A tool that belongs to a manifest is no plugin itself. A plugin of this kind is
// known by the hash of the hashes of its files, as sha256sum lists them, the
// manifest first.
const (
	maxTools      = 32
	manifestLooks = 1 << 20 // of a file's bytes, to tell whether it is a manifest
)

// IsYAML reports whether a name is that of a YAML file.
func IsYAML(name string) bool { return slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(name)) }

// isManifest reports whether the file at a path is a manifest that the host's
// program is to serve.
func isManifest(path string) bool {
	fi, err := os.Stat(path)
	if !IsYAML(path) || err != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&0o111 != 0 {
		return false
	}
	text, err := beginningOf(path)
	return err == nil && describesProcesses(text)
}

// beginningOf returns as much of a file as tells whether it is a manifest.
func beginningOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, manifestLooks))
}

// noManifest says why a YAML file that is not executable is not served.
func noManifest(path string) *unfit {
	if _, err := beginningOf(path); err != nil {
		return &unfit{reason: "cannot be read: " + reasonOf(err)}
	}
	return &unfit{reason: NoManifest}
}

// manifestsIn returns the manifests in a plugins directory, each with its tools,
// and the names of all these tools.
func manifestsIn(dir string, entries []fs.DirEntry) (manifests map[string][]string, claimed map[string]bool) {
	manifests, claimed = map[string][]string{}, map[string]bool{}
	for _, e := range entries {
		if ignored(e.Name()) || !isManifest(filepath.Join(dir, e.Name())) {
			continue
		}
		manifests[e.Name()] = []string{}
		if tool := toolOf(filepath.Join(dir, e.Name())); tool != "" {
			manifests[e.Name()] = []string{filepath.Base(tool)}
			claimed[filepath.Base(tool)] = true
		}
	}
	return manifests, claimed
}

// toolOf returns the path of the tool beside a manifest, empty if it has none.
func toolOf(manifest string) string {
	tool := strings.TrimSuffix(manifest, filepath.Ext(manifest))
	if fi, err := os.Stat(tool); err != nil || !fi.Mode().IsRegular() || ignored(filepath.Base(tool)) {
		return ""
	}
	return tool
}

// manifestOf returns the manifest in a version directory of a plugin, and its
// tools; without one, nothing.
func manifestOf(dir, plugin string) (file string, tools []string, wrong *unfit) {
	for _, name := range []string{versionedFile + ".yaml", versionedFile + ".yml", plugin + ".yaml", plugin + ".yml"} {
		if name == file || !isManifest(filepath.Join(dir, name)) {
			continue
		}
		if file != "" {
			return "", nil, &unfit{reason: fmt.Sprintf("both %s and %s in %s are manifests: keep one", file, name, dir)}
		}
		file = name
	}
	if file == "" {
		return "", nil, nil
	}
	tools, wrong = executablesIn(dir)
	if len(tools) > maxTools {
		wrong = &unfit{reason: fmt.Sprintf("%d executables in %s, more than %d: keep those that the manifest runs", len(tools), dir, maxTools)}
	}
	return file, append([]string{}, tools...), wrong
}

// examineManifest looks at the files of a manifest.
func examineManifest(c candidate, tools []string, uid int) (candidate, *unfit) {
	c.manifest = true
	c, wrong := examine(c, uid)
	if wrong != nil || c.file == "" {
		return c, wrong
	}
	for _, name := range tools {
		tool, wrong := examine(candidate{file: c.file, path: filepath.Join(filepath.Dir(c.path), name)}, uid)
		if wrong != nil {
			return c, &unfit{"its tool " + name + " is not as it should be: " + wrong.reason, wrong.fix}
		}
		if tool.file != "" {
			c.tools = append(c.tools, tool)
		}
	}
	return c, nil
}

// toolsSeen tells one content of the tools from another.
func (c candidate) toolsSeen() string {
	var seen strings.Builder
	for _, t := range c.tools {
		fmt.Fprintln(&seen, t.path, t.id, t.signed)
	}
	return seen.String()
}

// bundle is what a manifest consists of, beside itself.
type bundle struct {
	base  string        // name of the manifest's file
	tools []*executable // which a job executes as they were hashed
}

// gather opens and hashes the tools of a manifest.
func (e *executable) gather(c candidate, uid int, hashOf func(string, identity) string) error {
	e.bundle = &bundle{base: filepath.Base(c.path)}
	for _, tool := range c.tools {
		opened, err := openExecutable(tool, uid, hashOf)
		if err != nil {
			return fmt.Errorf("its tool %s: %w", filepath.Base(tool.path), err)
		}
		e.bundle.tools = append(e.bundle.tools, opened)
	}
	e.hash = sum(e.files())
	return nil
}

// files lists the manifest and its tools; without a manifest, nothing.
func (e *executable) files() []File {
	if e.bundle == nil {
		return nil
	}
	list := []File{{e.bundle.base, e.content}}
	for _, t := range e.bundle.tools {
		list = append(list, File{filepath.Base(t.path), t.content})
	}
	return list
}

// sum hashes the list that sha256sum makes of files.
func sum(files []File) string {
	list := sha256.New()
	for _, f := range files {
		fmt.Fprintf(list, "%s  %s\n", f.Hash, f.Name)
	}
	return hex.EncodeToString(list.Sum(nil))
}

// clone returns another hold on the same opened files.
func (b *bundle) clone() (*bundle, error) {
	if b == nil {
		return nil, nil
	}
	twin := &bundle{base: b.base}
	for _, t := range b.tools {
		opened, err := t.clone()
		if err != nil {
			twin.close()
			return nil, err
		}
		twin.tools = append(twin.tools, opened)
	}
	return twin, nil
}

func (b *bundle) close() {
	if b == nil {
		return
	}
	for _, t := range b.tools {
		t.close()
	}
}

// variable tells the host's program which descriptors the files have.
func (b *bundle) variable() string {
	value := fmt.Sprintf("%s=%d/%s", wire.ManifestFiles, executableFD+1, b.base)
	for _, t := range b.tools {
		value += "/" + filepath.Base(t.path)
	}
	return value
}

// errNoProgram says that nobody can serve a manifest.
var errNoProgram = errors.New("this host does not serve manifests itself: begin it with #!, the path of geomill and the word manifest, and make it executable")

// opened returns what a start of the child has open beside its lifeline: what it
// executes, and the files of a manifest.
func (c *child) opened() (files []*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(files)
			files = nil
		}
	}()
	add := func(of func() (*os.File, error)) {
		if err != nil {
			return
		}
		var f *os.File
		if f, err = of(); err == nil {
			files = append(files, f)
		}
	}
	b := c.exe.bundle
	if b == nil {
		add(c.exe.duplicate)
		return files, err
	}
	if c.program == nil {
		return nil, misfit{errNoProgram}
	}
	add(c.program.hold)
	add(c.exe.duplicate)
	for _, t := range b.tools {
		add(t.duplicate)
	}
	return files, err
}

// executed returns what the system is asked to execute; nil if nobody serves the
// manifest.
func (c *child) executed() *executable {
	if c.exe.bundle != nil {
		return c.program
	}
	return c.exe
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// openProgram opens the program that serves manifests; empty opens none.
func openProgram(path string) (*executable, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the program that serves manifests: %w", err)
	}
	return &executable{name: filepath.Base(path), path: path, file: f}, nil
}

// heads returns the beginnings of the files of a plugin.
func (e *executable) heads() [][]byte {
	all := [][]byte{e.look().Head}
	if e.bundle != nil {
		for _, t := range e.bundle.tools {
			all = append(all, t.look().Head)
		}
	}
	return all
}

// objection is what a plugin that cannot be served says about itself before it
// ends; empty if it ended for another reason.
func (c *child) objection() string {
	c.mu.Lock()
	ended := c.cmd != nil && c.cmd.ProcessState != nil && c.cmd.ProcessState.ExitCode() == wire.ExitUnfit
	c.mu.Unlock()
	if !ended {
		return ""
	}
	var said []string
	for _, line := range c.console.last(consoleLines) {
		if line = strings.TrimSpace(line); line != "" {
			said = append(said, line)
		}
	}
	return strings.Join(said, "; ")
}

// NoManifest is why a YAML file is not served.
const NoManifest = "is no manifest of command line tools, for it has no processes: describe some, or move the file to another directory"

// Companion returns the path of the tool of a manifest that the host's program
// serves, empty if it has none; ok is false for any other file.
func Companion(path string) (tool string, ok bool) {
	if !isManifest(path) {
		return "", false
	}
	return toolOf(path), true
}

// base is the name of the file that was opened.
func (e *executable) base() string {
	if e.bundle != nil {
		return e.bundle.base
	}
	return filepath.Base(e.path)
}

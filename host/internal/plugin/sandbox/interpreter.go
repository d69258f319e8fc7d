package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// firstLine is how much of a script the kernel looks at.
	firstLine = 256
	// maxLinks bounds a chain of symbolic links and interpreters.
	maxLinks = 16
)

// Interpreter returns the interpreter that the first line of a script names,
// looked up in path if that line leaves it to env; "" for what is no script or
// cannot be found.
func Interpreter(head []byte, path string) string {
	line, ok := bytes.CutPrefix(head[:min(len(head), firstLine)], []byte("#!"))
	if !ok {
		return ""
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	words := strings.Fields(string(line))
	if len(words) == 0 {
		return ""
	}
	if filepath.Base(words[0]) != "env" {
		return words[0]
	}
	for _, word := range words[1:] {
		if strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
			continue
		}
		if filepath.IsAbs(word) {
			return word
		}
		for _, dir := range filepath.SplitList(path) {
			if fi, err := os.Stat(filepath.Join(dir, word)); err == nil && fi.Mode().IsRegular() {
				return filepath.Join(dir, word)
			}
		}
		return ""
	}
	return ""
}

// Installation returns what a program needs to read of the installation that it
// belongs to: wherever its symbolic links lead, and its interpreter if it is a
// script, the libraries beside its bin directory, and for a Python virtual
// environment the Python that made it. What is installed in a Python by reference
// is among them, unless the Python is below one of the directories theirs: who may
// write there shall not choose what is read.
func Installation(program, path string, theirs []string) []string {
	var paths []string
	for range maxLinks {
		dir := filepath.Dir(program)
		paths = append(paths, program)
		if filepath.Base(dir) == "bin" {
			paths = append(paths, prefix(filepath.Dir(dir), theirs)...)
		}
		next, err := os.Readlink(program)
		if err != nil {
			if next = Interpreter(beginning(program), path); next == "" {
				return paths
			}
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(dir, next)
		}
		program = filepath.Clean(next)
	}
	return paths
}

// beginning returns as much of a file as tells whether it is a script.
func beginning(path string) []byte {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	head := make([]byte, firstLine)
	n, _ := io.ReadFull(f, head) // what cannot be read has no first line
	return head[:n]
}

func prefix(dir string, theirs []string) []string {
	paths := inPrefix(dir)
	if !below(dir, theirs) {
		paths = append(paths, referred(dir)...)
	}
	text, err := os.ReadFile(filepath.Join(dir, "pyvenv.cfg"))
	if err != nil {
		return paths // no virtual environment
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, "=")
		home := strings.TrimSpace(value)
		if strings.TrimSpace(key) == "home" && filepath.IsAbs(home) && filepath.Base(home) == "bin" {
			paths = append(paths, inPrefix(filepath.Dir(home))...)
		}
	}
	return paths
}

// referred lists the directories that the packages of a Python are in, when they
// are not in its own: those of .pth files, and what pip installed as editable.
func referred(dir string) []string {
	var paths []string
	for _, packages := range []string{"site-packages", "dist-packages"} {
		at := filepath.Join(dir, "lib", "python*", packages)
		files, _ := filepath.Glob(filepath.Join(at, "*.pth")) // the pattern is right
		for _, file := range files {
			text, _ := os.ReadFile(file) // what cannot be read refers to nothing
			for line := range strings.Lines(string(text)) {
				if path := strings.TrimSpace(line); filepath.IsAbs(path) {
					paths = append(paths, path)
				}
			}
		}
		files, _ = filepath.Glob(filepath.Join(at, "*.dist-info", "direct_url.json"))
		for _, file := range files {
			if path := editable(file); path != "" {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// editable returns the project that an editable package is in, from the file in
// which pip notes where a package came from; "" for any other package.
func editable(file string) string {
	text, err := os.ReadFile(file)
	var origin struct {
		URL string `json:"url"`
		Dir struct {
			Editable bool `json:"editable"`
		} `json:"dir_info"`
	}
	if err != nil || json.Unmarshal(text, &origin) != nil || !origin.Dir.Editable {
		return ""
	}
	u, err := url.Parse(origin.URL)
	if err != nil || u.Scheme != "file" || !filepath.IsAbs(u.Path) {
		return ""
	}
	return u.Path
}

// inPrefix lists the usual directories of an installation, and not the prefix
// itself, which may well be somebody's home.
func inPrefix(dir string) []string {
	var paths []string
	for _, name := range []string{"bin", "lib", "lib64", "libexec", "share", "ssl", "pyvenv.cfg"} {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

package program

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	noModule   = regexp.MustCompile(`ModuleNotFoundError: No module named '([^']+)'`)
	frame      = regexp.MustCompile(`^\s*File "([^"]+)", line (\d+)`)
	undecoded  = regexp.MustCompile(`^SyntaxError: (.*) in file \S+ on line (\d+)`)
	exception  = regexp.MustCompile(`^([A-Za-z_][\w.]*)(?:: (.*))?$`)
	pythonName = regexp.MustCompile(`^python[0-9.]*$`)
	carets     = regexp.MustCompile(`^[\s~^]+$`)
)

var (
	// syntax are the exceptions of Python that are about the text of a file.
	syntax = map[string]bool{"SyntaxError": true, "IndentationError": true, "TabError": true}
	// installs has what to ask pip for, where that is another name than the module's.
	installs = map[string]string{"geomill": "CHECKOUT/sdk/python", "grpc": "grpcio", "yaml": "PyYAML", "osgeo": "GDAL", "PIL": "pillow", "sklearn": "scikit-learn"}
)

// shown is how many characters of a text of Python are passed on.
const shown = 300

// place is a line of a file of Python.
type place struct{ file, line, code string }

// python explains why a script of Python has ended, by what Python wrote. A package
// that it lacks may be hidden from it.
func (f File) python(words string) (reason string, hidden bool) {
	if _, script := f.firstLine(); !script {
		return "", false
	}
	python := f.pythonOf()
	if m := noModule.FindStringSubmatch(words); m != nil {
		return noPackage(python, m[1])
	}
	lines := strings.Split(strings.TrimSpace(words), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if m := undecoded.FindStringSubmatch(lines[i]); m != nil {
			return fmt.Sprintf("line %s of it is not Python: %s: save the file as UTF-8", m[2], cut(m[1])), false
		}
		m := exception.FindStringSubmatch(lines[i])
		if m == nil || i == 0 || !strings.HasPrefix(lines[i-1], " ") {
			continue
		}
		switch first, own, last := places(lines[:i]); {
		case last.file == "":
		case syntax[m[1]]:
			return notPython(python, m[2], first, last), false
		default:
			return raised(m[1], m[2], own), false
		}
	}
	return "", false
}

// pythonOf returns the interpreter of a script of Python as its first line has it,
// or that of its interpreter, if that is such a script itself; else "".
func (f File) pythonOf() string {
	line, _ := f.firstLine()
	words := strings.Fields(line)
	if len(words) > 1 && filepath.Base(words[0]) == "env" {
		words = words[1:]
		for len(words) > 1 && (strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "=")) {
			words = words[1:]
		}
	}
	if len(words) == 0 {
		return ""
	}
	if pythonName.MatchString(filepath.Base(words[0])) {
		return words[0]
	}
	tool, err := os.Open(words[0])
	if err != nil {
		return ""
	}
	defer tool.Close()
	line, _ = Look(tool).firstLine()
	if words = strings.Fields(line); len(words) > 0 && pythonName.MatchString(filepath.Base(words[0])) {
		return words[0]
	}
	return ""
}

// noPackage says what lacks a module, and where to get it.
func noPackage(python, module string) (reason string, hidden bool) {
	module, _, _ = strings.Cut(module, ".")
	if reason := otherVersion(python, module); reason != "" {
		return reason, false
	}
	name, known := installs[module]
	if !known {
		name = "PACKAGE"
	}
	if python == "" {
		return fmt.Sprintf("its Python has no package %s: install it there (python3 -m pip install %s)", module, name), true
	}
	return fmt.Sprintf("its Python, %s, has no package %s: install it there (%[1]s -m pip install %[3]s), or name another Python in the first line", python, module, name), true
}

// otherVersion says so if the module is there, in a virtual environment that was
// made for another version of its Python.
func otherVersion(python, module string) string {
	venv := filepath.Dir(filepath.Dir(python))
	if _, err := os.Stat(filepath.Join(venv, "pyvenv.cfg")); err != nil || !filepath.IsAbs(python) {
		return ""
	}
	versions, _ := filepath.Glob(filepath.Join(venv, "lib", "python*")) // the pattern is right, unless the path is odd
	for _, version := range versions {
		if _, err := os.Stat(filepath.Join(version, "site-packages", module)); err == nil {
			return fmt.Sprintf("its virtual environment %s has %s for %s, and its Python is of another version: make it anew (python3 -m venv --clear %[1]s) and install its packages", venv, module, filepath.Base(version))
		}
	}
	return ""
}

// places returns the first place that a stack trace names, which is in the plugin
// itself, the last one in the same file, and the last of all. When the beginning of
// the trace is not there, only the last is known.
func places(lines []string) (first, own, last place) {
	begun := false
	for i, line := range lines {
		if strings.HasPrefix(line, "Traceback ") {
			first, begun = place{}, true
			continue
		}
		m := frame.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		last = place{file: m[1], line: m[2]}
		if i+1 < len(lines) && frame.FindString(lines[i+1]) == "" && !carets.MatchString(lines[i+1]) {
			last.code = strings.TrimSpace(lines[i+1])
		}
		if first.file == "" {
			first = last
		}
		if last.file == first.file {
			own = last
		}
	}
	if !begun {
		return place{}, place{}, last
	}
	return first, own, last
}

// notPython says which line is not understood. It may be too new for that Python.
func notPython(python, said string, first, last place) string {
	where := "line " + last.line + " of it"
	if first.file != "" && last.file != first.file {
		where = "line " + last.line + " of " + last.file
	}
	if python == "" {
		python = "its Python"
	}
	return fmt.Sprintf("%s is not Python%s: %s, says %s: correct it, or name a Python in the first line that knows it", where, quoted(last.code), cut(said), python)
}

// raised says what has stopped a script before it served.
func raised(kind, said string, own place) string {
	if said != "" {
		kind += ": " + cut(said)
	}
	if own.line == "" {
		return fmt.Sprintf("it raised %s; correct it, and try it by hand with the argument describe", kind)
	}
	return fmt.Sprintf("line %s of it%s raised %s; correct it, and try it by hand with the argument describe", own.line, quoted(own.code), kind)
}

func quoted(code string) string {
	if code == "" {
		return ""
	}
	return " (" + cut(code) + ")"
}

func cut(text string) string {
	if r := []rune(text); len(r) > shown {
		return string(r[:shown]) + "..."
	}
	return text
}

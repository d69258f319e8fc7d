package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// brokenManifests are manifests with what is said of them, in which TOOL is the
// tool that belongs to them.
var brokenManifests = map[string]struct{ text, tool, want string }{
	"yaml":        {"processes:\n  p:\n    command: [ls\n    title: x", "", "line 4, column 5: this is not YAML (',' or ']' must be specified): look at the indentation, quotes and brackets there"},
	"key":         {"processes:\n  p:\n    comand: [ls]", "", `line 3, column 5: there is no key "comand" here: did you mean command?`},
	"type":        {"processes: {p: {command: ls, outputs: {o: {from: stdout, schema: {}}}}}", "", "line 1, column 26: a text stands where a list belongs: write one"},
	"twice":       {"processes:\n  p: {title: a}\n  p: {title: b}", "", `line 3, column 3: the key "p" is there twice: rename or remove one of the two`},
	"input":       {"processes: {p: {command: [ls, {input: x}], outputs: {o: {from: stdout, schema: {}}}}}", "", `processes.p: command[1]: there is no input "x", nor any other: describe it below inputs`},
	"command":     {"processes: {p: {outputs: {o: {from: stdout, schema: {}}}}}", "", "processes.p: needs a command, a list whose first item is a program, or shell, a line for the shell"},
	"program":     {"processes: {p: {command: [no-such-program], outputs: {o: {from: stdout, schema: {}}}}}", "", "processes.p: command: there is no program no-such-program in PATH (/usr/local/bin:/usr/bin:/bin): install it, or give its whole path"},
	"interpreter": {"processes: {p: {command: [./interpreter], outputs: {o: {from: stdout, schema: {}}}}}", "#!/nowhere/python3\n", "processes.p: command: TOOL: its interpreter /nowhere/python3 does not exist: install it, or name another in the first line"},
	"script":      {"processes: {p: {command: [./script], outputs: {o: {from: stdout, schema: {}}}}}", "echo\n", "processes.p: command: TOOL: not a program for this machine (a script must begin with #! and its interpreter)"},
	"regexp":      {"processes: {p: {command: [ls], progress: '[', outputs: {o: {from: stdout, schema: {}}}}}", "", "processes.p: progress: \"[\" is no regular expression: mend it (missing closing ]: `[`)"},
	"schema":      {"processes: {p: {command: [ls], outputs: {o: {from: stdout, schema: {type: text}}}}}", "", `process p: output o: schema: at "/type": must be one of "array", "boolean", "integer", "null", "number", "object", "string"`},
	"id":          {"processes: {p p: {command: [ls], outputs: {o: {from: stdout, schema: {}}}}}", "", `process id "p p": letters, digits and . _ ~ : - only`},
	"two":         {"processes: {p: {command: [ls]}, q: {shell: ls}}", "", "processes.p: has no outputs: describe what comes of it below outputs; processes.q: has no outputs: describe what comes of it below outputs"},
}

func TestABrokenManifestIsToldByHandAndInTheListAlike(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	geomill := filepath.Join(built, "geomill")
	plugins := filepath.Join(dir, "plugins")
	if err := os.Mkdir(plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, m := range brokenManifests {
		path := filepath.Join(plugins, name)
		if err := os.WriteFile(path+".yaml", []byte(m.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if m.tool != "" {
			if err := os.WriteFile(path, []byte(m.tool), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		byHand := exec.Command(geomill, "manifest", path+".yaml", "describe")
		byHand.Env = append(os.Environ(), "PATH=/usr/local/bin:/usr/bin:/bin")
		said, err := byHand.CombinedOutput()
		if want := "geomill: " + strings.ReplaceAll(m.want, "TOOL", path) + "\n"; err == nil || string(said) != want {
			t.Errorf("%s by hand:\n got  %s want %s", name, said, want)
		}
	}
	list := exec.Command(geomill, "plugins", "--plugins", plugins, "--data", filepath.Join(dir, "data"), "--json")
	text, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []struct{ File, State, Reason string }
	if err := json.Unmarshal(text, &found); err != nil || len(found) != len(brokenManifests) {
		t.Fatalf("%d plugins, %v", len(found), err)
	}
	for _, p := range found {
		name := strings.TrimSuffix(p.File, ".yaml")
		want := strings.ReplaceAll(brokenManifests[name].want, "TOOL", filepath.Join(plugins, name))
		if p.Reason != want || p.State != "refused" {
			t.Errorf("%s in the list: %s\n got  %s\n want %s", p.File, p.State, p.Reason, want)
		}
	}
}

package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// describes is what a manifest needs beside the line that is tried.
const describes = ", outputs: {o: {from: stdout, schema: {}}}}}"

func TestEachFaultIsASentenceThatSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plain": "echo hello\n", "windows": "#!/bin/sh\r\necho\r\n", "nowhere": "#!/nowhere/python3\n", "nothing": "#!\n",
		"lost": "#!/usr/bin/env no-such-interpreter\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "shut"), []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{"", "the manifest has no processes: describe one below the key processes"},
		{"- a", "line 1, column 1: a list stands where a mapping (key: value) belongs: write one"},
		{"hello", "line 1, column 1: a text stands where a mapping (key: value) belongs: write one"},
		{"processes:\n  p:\n    command: [ls\n    title: x", "line 4, column 5: this is not YAML (',' or ']' must be specified): look at the indentation, quotes and brackets there"},
		{"processes:\n\tp: x", "line 2, column 1: a tab is no indentation in YAML: use spaces"},
		{"processes:\n  p:\n    colour: red", `line 3, column 5: there is no key "colour" here: remove it, or indent it to where it belongs`},
		{"processes: {p: {comand: [ls]" + describes, `line 1, column 17: there is no key "comand" here: did you mean command?`},
		{"processes: {p: {command: [ls, {inptu: x}]" + describes, `line 1, column 32: there is no key "inptu" here: did you mean input?`},
		{"processes:\n  p: {title: a}\n  p: {title: b}", `line 3, column 3: the key "p" is there twice: rename or remove one of the two`},
		{"processes: {p: {command: ls" + describes, "line 1, column 26: a text stands where a list belongs: write one"},
		{"processes: {p: {command: [ls, [x]]" + describes, "line 1, column 31: a list stands where a mapping (key: value) belongs: write one"},
		{"processes: {p: {title: [a], command: [ls]" + describes, "line 1, column 24: a list stands where a text belongs: write one"},
		{"processes: {p: {command: [ls], inputs: [x]" + describes, "line 1, column 40: a list stands where a mapping (key: value) belongs: write one"},
		{"processes: {p: {command: [ls], policy: {slots: many}" + describes, `line 1, column 48: "many" stands where a whole number belongs: write one`},
		{"processes: {p: {command: [ls], policy: {slots: 99999999999999999999}" + describes, "line 1, column 48: 99999999999999999999 is too large a number: write a smaller one"},
		{"processes: {p: {command: [ls], errors: {two: {retry: true}}" + describes, `line 1, column 41: "two" stands where a whole number belongs: write one`},
		{"processes: {p: {outputs: {o: {from: stdout, schema: {}}}}}", "processes.p: needs a command, a list whose first item is a program, or shell, a line for the shell"},
		{"processes: {p: {command: [ls], shell: ls" + describes, "processes.p: has both command and shell: keep one"},
		{"processes: {p: {command: [{input: x}]" + describes, "processes.p: command: must begin with the name of a program"},
		{"processes: {p: {command: [no-such-program]" + describes, "processes.p: command: there is no program no-such-program in PATH (/usr/bin:/bin): install it, or give its whole path"},
		{"processes: {p: {command: [./none]" + describes, "processes.p: command: there is no program DIR/none: put it there, or mend the path"},
		{"processes: {p: {command: [./shut]" + describes, "processes.p: command: DIR/shut cannot be executed: chmod +x it"},
		{"processes: {p: {command: [./plain]" + describes, "processes.p: command: DIR/plain: not a program for this machine (a script must begin with #! and its interpreter)"},
		{"processes: {p: {command: [./windows]" + describes, "processes.p: command: DIR/windows: its first line ends with a carriage return, as in a text file of Windows: convert its line ends (dos2unix)"},
		{"processes: {p: {command: [./nowhere]" + describes, "processes.p: command: DIR/nowhere: its interpreter /nowhere/python3 does not exist: install it, or name another in the first line"},
		{"processes: {p: {command: [./nothing]" + describes, "processes.p: command: DIR/nothing: its interpreter (none is named) does not exist: install it, or name another in the first line"},
		{"processes: {p: {command: [./lost]" + describes, "processes.p: command: DIR/lost: its interpreter no-such-interpreter is not in /usr/bin:/bin: install it there, or name it by its whole path in the first line"},
		{"processes: {p: {command: [ls, {input: x}]" + describes, `processes.p: command[1]: there is no input "x", nor any other: describe it below inputs`},
		{"processes: {p: {command: [ls, {input: x}], inputs: {y: {schema: {}}}" + describes, `processes.p: command[1]: there is no input "x": describe it below inputs, or name one of y`},
		{"processes: {p: {command: [ls, {output: x}]" + describes, `processes.p: command[1]: there is no output "x": describe it below outputs`},
		{"processes: {p: {command: [ls, {output: o}]" + describes, `processes.p: command[1]: output "o" comes from stdout, so no file is its: take it out of the command, or name a file in outputs.o.from`},
		{"processes: {p: {command: [ls, {flag: -x}]" + describes, "processes.p: command[1]: must be a text, or a mapping with either input, output or beside"},
		{"processes: {p: {command: [ls, null]" + describes, "processes.p: command[1]: must be a text, or a mapping with either input, output or beside"},
		{"processes: {p: {command: [ls, {input: x, file: ../x}], inputs: {x: {schema: {}}}" + describes, `processes.p: command[1]: file: "../x" is not inside the directory of the job: name a file in it, such as in.json`},
		{"processes: {p: {command: [ls, {beside: none}]" + describes, "processes.p: command[1]: beside: there is no file none in DIR: put it there, or mend the name"},
		{"processes: {p: {command: [ls, {beside: ../none}]" + describes, `processes.p: command[1]: beside: "../none" is not in the directory of the manifest: give a whole path as a text instead`},
		{"processes: {p: {command: [ls]}}", "processes.p: has no outputs: describe what comes of it below outputs"},
		{"processes: {p: {command: [ls], outputs: {o: {from: ../x, schema: {}}}}}", `processes.p: outputs.o.from: "../x" is not inside the directory of the job: name a file in it, such as out.json`},
		{"processes: {p: {command: [ls], outputs: {o: {schema: {}}}}}", "processes.p: outputs.o: needs from: write stdout, or the name of the file that the command writes"},
		{"processes: {p: {command: [ls], outputs: {o: {from: stdout, schema: {}}, q: {from: stdout, schema: {}}}}}", "processes.p: outputs.q.from: stdout is that of o already: have the command write a file"},
		{"processes: {p: {command: [ls], outputs: {o: {from: stdout}}}}", "processes.p: outputs.o: needs a schema: write one such as {type: string}"},
		{"processes: {p: {command: [ls], inputs: {x: {}}" + describes, "processes.p: inputs.x: needs a schema: write one such as {type: string}"},
		{"processes: {p: {command: [ls], inputs: {x: {schema: text}}" + describes, "processes.p: inputs.x: the schema text is none: write one such as {type: string}"},
		{"processes: {p: {command: [ls], inputs: {x: {schema: {}, maxOccurs: many}}" + describes, `processes.p: inputs.x: maxOccurs is a number from 0 or "unbounded", not "many"`},
		{"processes: {p: {command: [ls], stdin: x" + describes, `processes.p: stdin: there is no input "x", nor any other: describe it below inputs`},
		{"processes: {p: {command: [ls], env: {a=b: c}" + describes, `processes.p: env: "a=b" is no name of a variable: use letters, digits and _`},
		{"processes: {p: {shell: ls, inputs: {a-b: {schema: {}}, a_b: {schema: {}}}" + describes, "processes.p: shell: a-b and a_b are both $INPUT_A_B: rename one"},
		{"processes: {p: {command: [ls], progress: '('" + describes, "processes.p: progress: \"(\" is no regular expression: mend it (missing closing ): `(`)"},
		{"processes: {p: {command: [ls], progress: '%'" + describes, `processes.p: progress: "%" has no group for the number: put it in brackets, as in (\d+)%`},
		{"processes: {p: {command: [ls], errors: {2: {input: x}}" + describes, `processes.p: errors.2: there is no input "x", nor any other: describe it below inputs`},
		{"processes: {p: {command: [ls], errors: {0: {message: x}}" + describes, "processes.p: errors: 0 is no exit status of a failure: those are 1 to 255"},
		{"processes: {p: {command: [ls], policy: {timeout: soon}" + describes, `processes.p: policy.timeout: "soon" is no duration: write one such as 90s or 10m`},
		{"processes: {p: {command: [ls], policy: {slots: -1}" + describes, "processes.p: policy.slots: is less than 0: write how many jobs may run at once, or leave it out"},
		{"processes: {p: {command: [ls], policy: {retry-on: [never]}" + describes, `processes.p: policy.retry-on: "never" is no cause: write some of host, memory, plugin, process, timeout`},
		{"name: A B\nprocesses: {p: {command: [ls]" + describes, `plugin name "A B": lower case letters, digits and . _ - only`},
	} {
		_, err := Read(strings.NewReader(c.text), "tools", dir)
		if want := strings.ReplaceAll(c.want, "DIR", dir); err == nil || err.Error() != want {
			t.Errorf("%s:\n got  %v\n want %s", c.text, err, want)
		}
	}
}

func TestAllFaultsAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Read(strings.NewReader("processes: {a: {command: [ls]}, b: {shell: ls}}"), "tools", t.TempDir())
	want := "processes.a: has no outputs: describe what comes of it below outputs\nprocesses.b: has no outputs: describe what comes of it below outputs"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAScriptOfPythonThatEndedSaysWhereAndWhatToDo(t *testing.T) {
	t.Parallel()
	venv := t.TempDir()
	for _, dir := range []string{"bin", "lib/python3.9/site-packages/shapely"} {
		if err := os.MkdirAll(filepath.Join(venv, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"pyvenv.cfg": "home = /usr/bin\n", "bin/bridge": "#!/opt/b/bin/python3.11\nimport x\n"} {
		if err := os.WriteFile(filepath.Join(venv, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const trace = "Traceback (most recent call last):\n  File \"/proc/self/fd/4\", line 7, in <module>\n    serve(a, b, name='a')\n" +
		"  File \"/opt/v/geomill/_server.py\", line 42, in __init__\n    raise ValueError(\"two\")\n"
	for name, c := range map[string]struct {
		head, words, want string
		hidden            bool
	}{
		"package":        {"#!/opt/v/bin/python3\n", "ModuleNotFoundError: No module named 'geopandas.io'", "its Python, /opt/v/bin/python3, has no package geopandas: install it there (/opt/v/bin/python3 -m pip install PACKAGE), or name another", true},
		"SDK":            {"#!/usr/bin/env -S A=b python3 -u\n", "ModuleNotFoundError: No module named 'geomill'", "its Python, python3, has no package geomill: install it there (python3 -m pip install CHECKOUT/sdk/python)", true},
		"grpcio":         {"#!/opt/v/bin/python3.12\n", "ModuleNotFoundError: No module named 'grpc'", "(/opt/v/bin/python3.12 -m pip install grpcio)", true},
		"bridge":         {"#!" + venv + "/bin/bridge\n", "ModuleNotFoundError: No module named 'yaml'", "its Python, /opt/b/bin/python3.11, has no package yaml: install it there (/opt/b/bin/python3.11 -m pip install PyYAML)", true},
		"shell":          {"#!/bin/sh\n", "ModuleNotFoundError: No module named 'yaml'", "its Python has no package yaml", true},
		"upgrade":        {"#!" + venv + "/bin/python3\n", "ModuleNotFoundError: No module named 'shapely'", "its virtual environment " + venv + " has shapely for python3.9, and its Python is of another version: make it anew (python3 -m venv --clear " + venv + ")", false},
		"syntax":         {"#!/opt/v/bin/python3\n", "  File \"/proc/self/fd/4\", line 4\n    def a( -> str:\n           ^^\nSyntaxError: invalid syntax\n", "line 4 of it is not Python (def a( -> str:): invalid syntax, says /opt/v/bin/python3: correct it", false},
		"tabs":           {"#!/opt/v/bin/python3\n", "  File \"/proc/self/fd/4\", line 6\n    x\nTabError: inconsistent use of tabs and spaces in indentation\n", "line 6 of it is not Python (x): inconsistent use", false},
		"imported":       {"#!/opt/v/bin/python3\n", "Traceback (most recent call last):\n  File \"/proc/self/fd/4\", line 2, in <module>\n    import mine\n  File \"/srv/mine.py\", line 9\n    match x\n          ^\nSyntaxError: expected ':'\n", "line 9 of /srv/mine.py is not Python (match x): expected ':'", false},
		"encoding":       {"#!/opt/v/bin/python3\n", "SyntaxError: Non-UTF-8 code starting with '\\xe9' in file /proc/self/fd/4 on line 6, but no encoding declared", "line 6 of it is not Python: Non-UTF-8 code starting with '\\xe9': save the file as UTF-8", false},
		"exception":      {"#!/opt/v/bin/python3\n", trace + "ValueError: two processes have the same id\n", "line 7 of it (serve(a, b, name='a')) raised ValueError: two processes have the same id; correct it", false},
		"without a text": {"#!/opt/v/bin/python3\n", "Traceback (most recent call last):\n  File \"/proc/self/fd/4\", line 3, in <module>\n    assert 1 > 2\n           ^^^^^\nAssertionError\nand more", "line 3 of it (assert 1 > 2) raised AssertionError;", false},
		"a second one":   {"#!/opt/v/bin/python3\n", "Traceback (most recent call last):\n  File \"/srv/x.py\", line 1, in f\n    f()\nKeyError: 1\n\nDuring handling of the above exception, another exception occurred:\n\n" + trace + "OSError: no luck\n", "line 7 of it (serve(a, b, name='a')) raised OSError: no luck", false},
		"cut off":        {"#!/opt/v/bin/python3\n", "  File \"/srv/x.py\", line 1, in f\n    f()\nRecursionError: too deep\n", "it raised RecursionError: too deep; correct it", false},
		"other words":    {"#!/opt/v/bin/python3\n", "I am none", "", false},
		"no script":      {"\x7fELF", trace + "KeyError: 1", "", false},
	} {
		got, hidden := File{Head: []byte(c.head)}.Ended(c.words)
		if !strings.HasPrefix(got, c.want) && !strings.HasPrefix(c.want, "(") || !strings.Contains(got, c.want) || c.want == "" && got != "" || hidden != c.hidden || strings.Contains(got, "\n") {
			t.Errorf("%s: %q, hidden %v; want %q, %v", name, got, hidden, c.want, c.hidden)
		}
	}
}

// What a plugin writes is written by anybody.
func FuzzLastWords(f *testing.F) {
	f.Add("#!/usr/bin/env python3", "Traceback (most recent call last):\n  File \"x\", line 7, in <module>\n    x\nKeyError: 1\n")
	f.Add("#!/usr/bin/env -S", "SyntaxError: x in file y on line 1")
	f.Fuzz(func(t *testing.T, line, words string) {
		if got, _ := (File{Head: []byte(line + "\n")}).Ended(words); len(got) > len(line)+len(words)+1000 {
			t.Errorf("a reason of %d bytes", len(got))
		}
	})
}

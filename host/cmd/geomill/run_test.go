package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
)

func TestAStackTraceIsPrintedLineByLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := &reports{w: &out}
	r.log(slog.LevelError, "panic: \x1bouch", json.RawMessage(`{"tile": 3, "stack": "goroutine 1:\nmain.f()\n\tmain.go:4\u001b\n"}`))
	if want := "ERROR panic: \\x1bouch tile=3\n  stack:\n    goroutine 1:\n    main.f()\n    \tmain.go:4\\x1b\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestAWrongCommandLineNamesTheHelpOfItsCommand(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"geomill new --help":          {"new"},
		"geomill plugin check --help": {"plugin", "check"},
		"geomill plugin --help":       {"plugin", "nothing"},
		"geomill run --help":          {"run", "--inputs=x"},
		"geomill --help":              {"nothing"},
	} {
		var out, errs bytes.Buffer
		if code := run(args, &out, &errs); code != 2 || !bytes.Contains(errs.Bytes(), []byte("(see "+want+")")) {
			t.Errorf("%q: exit code %d, %q; want 2 and %q", args, code, errs.String(), want)
		}
	}
}

func TestATracebackInTheLogOfARunIsReadable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	r := &reports{w: &b}
	r.log(slog.LevelError, "Traceback (most recent call last):\n  File \"x\"\x1b[2J\r\nValueError: no\n", json.RawMessage(`{"tile":3}`))
	r.log(slog.LevelInfo, "read", nil)
	const want = "ERROR Traceback (most recent call last): tile=3\n" +
		"      File \"x\"\\x1b[2J\n" +
		"    ValueError: no\n" +
		"INFO  read\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

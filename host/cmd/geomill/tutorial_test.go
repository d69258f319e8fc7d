package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTheTutorialIsTrue(t *testing.T) {
	python := os.Getenv("GEOMILL_TEST_PYTHON")
	if python == "" || exec.Command(python, "-c", "import geomill, pytest").Run() != nil {
		t.Skip("NOT TESTED: sdk/TUTORIAL.md; GEOMILL_TEST_PYTHON names no python3 with the SDK")
	}
	follow(t, "sdk/TUTORIAL.md", "PYTHON="+python)
}

func TestTheContractIsTrue(t *testing.T) {
	t.Parallel()
	follow(t, "proto/README.md", "PLUGIN="+filepath.Join(built, "plugins", "hello-world"))
}

// follow runs the shell blocks of a page, in one shell and an empty directory. Each
// line of a text block must be in the output of the shell block before it.
func follow(t *testing.T, name string, env ...string) {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// The port of the page may be taken, and the machine busy.
	changed := strings.NewReplacer("localhost:5000", freeAddress(t), "geomill plugin check ", "geomill plugin check --slack 8 --timeout 5m ")
	commands, wanted := blocks(changed.Replace(string(page)))
	if len(commands) == 0 {
		t.Fatalf("%s has no commands", name)
	}
	var text strings.Builder
	text.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n")
	for i, block := range commands {
		fmt.Fprintf(&text, "exec > %s/out%d 2>&1\n%s", dir, i, block)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	shell := exec.CommandContext(ctx, "bash", "-c", text.String())
	shell.Dir, shell.WaitDelay = work, 10*time.Second
	shell.Env = append(append(os.Environ(), "PATH="+built+":"+os.Getenv("PATH"), "GEOMILL_SDK="+root), env...)
	err = shell.Run()
	for i := range commands {
		out, _ := os.ReadFile(fmt.Sprintf("%s/out%d", dir, i)) // those after a failure are not there
		if err != nil {
			t.Logf("$ %s%s", commands[i], out)
		}
		for _, line := range wanted[i] {
			if !strings.Contains(string(out), line) {
				t.Errorf("%s does not say %q, but\n%s", commands[i], line, out)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

var fenced = regexp.MustCompile("(?s)```(sh|text)\n(.*?)```")

// blocks returns the shell blocks of a page, and the lines that the output of
// each must have.
func blocks(page string) (commands []string, wanted [][]string) {
	for _, m := range fenced.FindAllStringSubmatch(page, -1) {
		if m[1] == "sh" {
			commands, wanted = append(commands, m[2]), append(wanted, nil)
		} else {
			wanted[len(wanted)-1] = strings.Split(strings.TrimSpace(m[2]), "\n")
		}
	}
	return commands, wanted
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

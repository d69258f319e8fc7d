package plugin

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"

	"geomill/sdk/wire/program"
)

// misfit is an error that lies in a file itself: it does not pass until there is
// another content.
type misfit struct{ error }

func (m misfit) Unwrap() error { return m.error }

// explainExec says why the system does not execute a file, and what to do.
func explainExec(err error, file program.File) error {
	if errors.Is(err, errKilled) {
		return err
	}
	if errors.Is(err, syscall.ENOEXEC) && describesProcesses(file.Head) {
		return misfit{errors.New("is a manifest of command line tools, which must not be executable without an interpreter in its first line: chmod -x it, and the host serves it")}
	}
	switch reason, lasting := file.Exec(err); {
	case lasting:
		return misfit{errors.New(reason)}
	case reason != "":
		return errors.New(reason)
	}
	return fmt.Errorf("start plugin: %w", err)
}

// noPlugin is asked about a program that does nothing that a plugin does.
const noPlugin = "is it a Geomill plugin? (geomill plugin check FILE finds out)"

// ended says why a program has ended before its handshake, from its file and its
// last words; "" if they tell nothing.
func ended(file program.File, words, name string) string {
	reason, hidden := file.Ended(words)
	if hidden {
		reason += fmt.Sprintf("; if it is there, plugin-config.%s.read must list where", name)
	}
	if m := noProgram.FindStringSubmatch(words); m != nil && reason == "" {
		return fmt.Sprintf("its interpreter %s is not in %s: install it there, or name it by its whole path in the first line", m[1], searchPath)
	}
	return reason
}

var (
	noProgram  = regexp.MustCompile(`env: .?['‘]([^'’]+)['’]: No such file`)
	apiVersion = regexp.MustCompile(`incompatible (?:core )?API version with plugin\. Plugin version: (\d+)`)
	noProtocol = regexp.MustCompile(`unsupported plugin protocol "([^"]*)"`)
)

// foreignHandshake says why the host and the plugin have no protocol in common,
// or returns err.
func foreignHandshake(err error) error {
	text := err.Error()
	if m := apiVersion.FindStringSubmatch(text); m != nil {
		kind := "version " + m[1] + " of the plugin contract"
		if strings.Contains(text, "core API") {
			kind = "version " + m[1] + " of go-plugin's handshake"
		}
		return fmt.Errorf("incompatible API version: it speaks %s, and this host version 1: build it with an SDK that fits this host", kind)
	}
	if m := noProtocol.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("handshake: speaks %q, and a plugin must speak grpc, as the SDKs do", m[1])
	}
	return fmt.Errorf("handshake: %w", err)
}

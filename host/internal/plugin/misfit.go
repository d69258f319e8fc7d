package plugin

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"geomill/host/internal/plugin/sandbox"
)

// misfit is an error that lies in a file itself: it does not pass until there is
// another content.
type misfit struct{ error }

func (m misfit) Unwrap() error { return m.error }

// explainExec says why the system does not execute a file that begins with head,
// and what to do.
func explainExec(err error, head []byte) error {
	switch {
	case errors.Is(err, errKilled):
		return err
	case errors.Is(err, syscall.ENOEXEC):
		if system := systemOf(head); system != "" {
			return misfit{fmt.Errorf("is a program for %s, and this machine needs one for %s/%s: build it for that", system, runtime.GOOS, runtime.GOARCH)}
		}
		if describesProcesses.Match(head) {
			return misfit{errors.New("is a manifest of command line tools, which must not be executable without an interpreter in its first line: chmod -x it, and the host serves it")}
		}
		return misfit{errors.New("not a program for this machine (a script must begin with #! and its interpreter)")}
	case errors.Is(err, syscall.ENOENT):
		return noInterpreter(head)
	case errors.Is(err, syscall.EACCES):
		return errors.New("the system refuses to execute it (is its file system mounted noexec?)")
	case errors.Is(err, syscall.ETXTBSY):
		return errors.New("the file is still open for writing")
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.EINVAL):
		return misfit{errors.New("the program is damaged, perhaps cut off: copy it anew")}
	}
	return fmt.Errorf("start plugin: %w", err)
}

// noInterpreter says which interpreter does not exist.
func noInterpreter(head []byte) error {
	line, ok := bytes.CutPrefix(head, []byte("#!"))
	if !ok {
		return errors.New("the loader named in the program's header does not exist: build it for the C library of this machine, or statically")
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	if bytes.HasSuffix(line, []byte("\r")) {
		return misfit{errors.New("its first line ends with a carriage return, as in a text file of Windows: convert its line ends (dos2unix)")}
	}
	name := sandbox.Interpreter(head, "")
	return fmt.Errorf("its interpreter %s does not exist: install it, or name another in the first line", name)
}

// systemOf returns the system that a foreign program was built for, or "".
func systemOf(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("MZ")):
		return "Windows"
	case bytes.HasPrefix(head, []byte("\xcf\xfa\xed\xfe")), bytes.HasPrefix(head, []byte("\xca\xfe\xba\xbe")):
		return "macOS"
	case !bytes.HasPrefix(head, []byte(elf.ELFMAG)) || len(head) < 20:
		return ""
	}
	machine := elf.Machine(head[18]) | elf.Machine(head[19])<<8
	if head[elf.EI_DATA] == byte(elf.ELFDATA2MSB) {
		machine = elf.Machine(head[18])<<8 | elf.Machine(head[19])
	}
	names := map[elf.Machine]string{elf.EM_AARCH64: "arm64", elf.EM_X86_64: "amd64", elf.EM_386: "386", elf.EM_ARM: "arm",
		elf.EM_RISCV: "riscv64", elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x", elf.EM_LOONGARCH: "loong64"}
	name, ok := names[machine]
	if !ok {
		name = machine.String()
	}
	if name == runtime.GOARCH {
		return "" // something else is wrong with it
	}
	return "linux/" + name
}

var (
	noModule   = regexp.MustCompile(`ModuleNotFoundError: No module named '([^']+)'`)
	noProgram  = regexp.MustCompile(`env: .?['‘]([^'’]+)['’]: No such file`)
	apiVersion = regexp.MustCompile(`incompatible (?:core )?API version with plugin\. Plugin version: (\d+)`)
	noProtocol = regexp.MustCompile(`unsupported plugin protocol "([^"]*)"`)
)

// missing says what a plugin that ended at once has not found, from its last
// words; "" if they tell nothing of that kind. A script begins with head.
func missing(head []byte, words, name string) string {
	if m := noProgram.FindStringSubmatch(words); m != nil {
		return fmt.Sprintf("its interpreter %s is not in %s: install it there, or name it by its whole path in the first line", m[1], searchPath)
	}
	m := noModule.FindStringSubmatch(words)
	if m == nil {
		return ""
	}
	python := sandbox.Interpreter(head, searchPath)
	if python == "" {
		return ""
	}
	reason := fmt.Sprintf("its Python, %s, has no package %s: install it there (%[1]s -m pip install PACKAGE), or name another Python in the first line", python, m[1])
	if _, err := os.Stat(python); err == nil {
		reason += fmt.Sprintf("; if it is installed outside of that Python, plugin-config.%s.read must list where", name)
	}
	return reason
}

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
		return fmt.Errorf("handshake: speaks %q, and a plugin must speak grpc", m[1])
	}
	return fmt.Errorf("handshake: %w", err)
}

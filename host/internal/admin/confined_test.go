package admin

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary is a client too, confined or not, of the server on the
// directory that directoryKey names.
const (
	roleKey      = "ADMIN_TEST_ROLE"
	directoryKey = "ADMIN_TEST_DIR"
)

// actAs plays a role of this test binary; it reports false when it has none.
func actAs(role string) bool {
	switch role {
	case "prisoner":
		runtime.LockOSThread()
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			panic(err)
		}
		env := []string{roleKey + "=client", directoryKey + "=" + os.Getenv(directoryKey)}
		panic(syscall.Exec("/proc/self/exe", os.Args[:1], env))
	case "client":
		if err := Backup(context.Background(), os.Getenv(directoryKey), io.Discard); err != nil {
			fmt.Println("failed:", err)
			return true
		}
		fmt.Println("done")
		return true
	}
	return false
}

func TestPluginsAreRefused(t *testing.T) {
	t.Parallel()
	own, err := rightsOf("self")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	serve(t, dir, hello)
	for role, want := range map[string]string{"client": "done", "prisoner": "failed"} {
		if own.fixed == 1 && role == "prisoner" {
			t.Log("NOT TESTED: this test cannot have more privileges than a plugin")
			continue
		}
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = []string{roleKey + "=" + role, directoryKey + "=" + dir}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("%s: %v, %s", role, err, out)
		}
	}
}

func TestRightsAreReadFromTheStatusOfAProcess(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]rights{
		"Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n": {1, 3},
		"NoNewPrivs:\t0\nSeccomp_filters:\t0\n":                        {},
		"Name:\tNoNewPrivs:\t1\n":                                      {},
		"NoNewPrivs":                                                   {},
		"":                                                             {},
	} {
		if got := parseRights(status); got != want {
			t.Errorf("%q: %+v, want %+v", status, got, want)
		}
	}
}

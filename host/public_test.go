package host

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestTrustedProxiesAreAddressesOrNetworks(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "192.0.2.1": "192.0.2.1/32", "::1": "::1/128", "::ffff:192.0.2.1": "192.0.2.1/32",
		"10.0.0.0/33": "", "proxy.example": "", "10.0.0.1:80": "", "fe80::1%eth0": "", "": "",
	} {
		got, err := Config{TrustedProxies: []string{given}}.proxies()
		if (err == nil) != (want != "") || err == nil && fmt.Sprint(got) != "["+want+"]" {
			t.Errorf("%q: %v, %v", given, got, err)
		}
	}
}

func TestNoneTurnsOriginsOff(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{{CORSOrigins: []string{"none"}}, {CORSOrigins: []string{}}, {}} {
		if got := c.origins(); len(got) != 0 {
			t.Errorf("%v: %v", c.CORSOrigins, got)
		}
	}
	if got := Default().origins(); len(got) != 1 || got[0] != "*" {
		t.Errorf("by default %v", got)
	}
}

func TestCursorKeyOutlivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := cursorKey(dir)
	if err != nil || len(first) != keySize {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	if again, err := cursorKey(dir); err != nil || !bytes.Equal(again, first) {
		t.Errorf("another key: %v", err)
	}
	if err := os.Truncate(filepath.Join(dir, "cursor.key"), 3); err != nil {
		t.Fatal(err)
	}
	if fresh, err := cursorKey(dir); err != nil || len(fresh) != keySize || bytes.Equal(fresh, first) {
		t.Errorf("after a torn write: %d bytes, %v", len(fresh), err)
	}
	if other, err := cursorKey(t.TempDir()); err != nil || bytes.Equal(other, first) {
		t.Errorf("two hosts share a key: %v", err)
	}
}

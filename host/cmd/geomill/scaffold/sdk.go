package scaffold

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// module is the name of the module that has the SDK.
const module = "geomill"

// FindSDK returns the checkout of Geomill that has path in it, such as the one
// that a program was built in.
func FindSDK(path string) (string, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if IsSDK(dir) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("the SDK is not found from here: say where the checkout of Geomill is with --sdk DIR, the directory whose go.mod begins with \"module geomill\"")
		}
	}
}

// IsSDK reports whether dir is a checkout of Geomill.
func IsSDK(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "module" {
			return fields[1] == module
		}
	}
	return false
}

// goModule is what the go.mod and go.sum of a plugin take from those of the SDK.
type goModule struct {
	goVersion string
	requires  []string // "PATH VERSION", sorted
	sums      []byte
}

// sdkModule asks the go command for the modules that the SDK is built of, so that
// the plugin is built of the same ones, without asking anybody on the network.
func sdkModule(ctx context.Context, sdk string) (m goModule, err error) {
	if m.sums, err = os.ReadFile(filepath.Join(sdk, "go.sum")); err != nil {
		return m, fmt.Errorf("checkout of Geomill: %w", err)
	}
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}} {{.GoVersion}}{{end}}", "./sdk", "./sdk/sdktest")
	list.Dir = sdk
	var out, errs bytes.Buffer
	list.Stdout, list.Stderr = &out, &errs
	switch err := list.Run(); {
	case errors.Is(err, exec.ErrNotFound):
		return m, errors.New("there is no go command in PATH: a plugin in Go needs Go")
	case err != nil:
		return m, fmt.Errorf("ask what the SDK is built of: %w: %s", err, bytes.TrimSpace(errs.Bytes()))
	}
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		switch fields := strings.Fields(lines.Text()); {
		case len(fields) == 2 && fields[0] == module: // the module itself has no version
			m.goVersion = fields[1]
		case len(fields) >= 2:
			m.requires = append(m.requires, fields[0]+" "+fields[1])
		}
	}
	if m.goVersion == "" {
		return m, fmt.Errorf("%s is not a checkout of Geomill", sdk)
	}
	slices.Sort(m.requires)
	m.requires = slices.Compact(m.requires)
	return m, nil
}

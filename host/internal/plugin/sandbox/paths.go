package sandbox

import (
	"os"
	"path/filepath"
	"strings"
)

// without returns paths that grant what the given ones do, except for certain
// directories and all below them. Rules can only add, so that a path with an
// exception below it becomes the list of its other entries.
func without(paths, except []string) []string {
	var kept []string
	for _, path := range paths {
		kept = append(kept, carve(path, except)...)
	}
	return kept
}

func carve(path string, except []string) []string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil
	}
	divided := false
	for _, e := range except {
		if resolved, err := filepath.EvalSymlinks(e); err == nil {
			e = resolved
		}
		if contains(e, real) {
			return nil
		}
		divided = divided || contains(real, e)
	}
	if !divided {
		return []string{real}
	}
	entries, err := os.ReadDir(real)
	if err != nil {
		return nil
	}
	var kept []string
	for _, entry := range entries {
		// What a link leads to is granted where it is, or not at all.
		if entry.Type()&os.ModeSymlink == 0 {
			kept = append(kept, carve(filepath.Join(real, entry.Name()), except)...)
		}
	}
	return kept
}

// below reports whether what is at a path is one of the directories, or below one.
func below(path string, dirs []string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	for _, dir := range dirs {
		if resolved, err := filepath.EvalSymlinks(dir); dir != "" && err == nil && contains(resolved, real) {
			return true
		}
	}
	return false
}

// contains reports whether a path is dir or below it.
func contains(dir, path string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(dir, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

package sdk_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The names that authors of plugins may use, and their types, are a promise. They
// are listed in testdata/api.txt; GEOMILL_UPDATE=1 writes the list anew.
func TestExportedNamesAreThoseOfTheList(t *testing.T) {
	t.Parallel()
	var all []string
	for _, dir := range []string{".", "ogc", "sdktest"} {
		names, err := exported(dir)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, names...)
	}
	got := strings.Join(all, "\n") + "\n"
	const list = "testdata/api.txt"
	if os.Getenv("GEOMILL_UPDATE") != "" {
		if err := os.WriteFile(list, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, line := range want {
		if !slices.Contains(all, line) {
			t.Errorf("is gone: %s", line)
		}
	}
	for _, line := range all {
		if !slices.Contains(want, line) {
			t.Errorf("is new: %s", line)
		}
	}
	if t.Failed() {
		t.Error("if that is meant: GEOMILL_UPDATE=1 go test ./sdk -run TestExportedNames")
	}
}

// exported lists the exported declarations of a package, one a line, sorted.
func exported(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if !ast.FileExports(file) {
			continue
		}
		for _, d := range file.Decls {
			for _, line := range declared(set, d) {
				lines = append(lines, file.Name.Name+": "+line)
			}
		}
	}
	slices.Sort(lines)
	return lines, nil
}

// declared is a declaration in a line for each name.
func declared(set *token.FileSet, d ast.Decl) []string {
	if f, ok := d.(*ast.FuncDecl); ok {
		f.Body = nil
		if f.Recv != nil && !ast.IsExported(strings.TrimPrefix(written(set, f.Recv.List[0].Type), "*")) {
			return nil
		}
		return []string{written(set, f)}
	}
	g, ok := d.(*ast.GenDecl)
	if !ok || g.Tok == token.IMPORT {
		return nil
	}
	var lines []string
	for _, s := range g.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			lines = append(lines, typed(set, s)...)
		case *ast.ValueSpec:
			for _, name := range s.Names {
				line := fmt.Sprintf("%s %s", g.Tok, name.Name)
				if s.Type != nil {
					line += " " + written(set, s.Type)
				}
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// typed is a type, in a line for each of its fields if it is a struct.
func typed(set *token.FileSet, s *ast.TypeSpec) []string {
	fields, ok := s.Type.(*ast.StructType)
	if !ok {
		return []string{"type " + written(set, s)}
	}
	name := "type " + s.Name.Name
	if s.TypeParams != nil {
		name += "[" + written(set, s.TypeParams.List[0].Names[0]) + " ...]"
	}
	lines := []string{name + " struct"}
	for _, f := range fields.Fields.List {
		tag := ""
		if f.Tag != nil {
			tag = " " + f.Tag.Value
		}
		if len(f.Names) == 0 {
			lines = append(lines, name+" struct, embedded "+written(set, f.Type)+tag)
		}
		for _, n := range f.Names {
			lines = append(lines, name+" struct, "+n.Name+" "+written(set, f.Type)+tag)
		}
	}
	return lines
}

// written is a part of a program in one line.
func written(set *token.FileSet, node any) string {
	switch n := node.(type) {
	case *ast.FuncDecl:
		n.Doc = nil
	case *ast.TypeSpec:
		n.Doc, n.Comment = nil, nil
	}
	var text bytes.Buffer
	if err := printer.Fprint(&text, set, node); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

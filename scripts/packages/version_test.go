package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the Dockerfile and goreleaser have the linker set is there: the linker says nothing of a variable that is not.
func TestLinkedVariables(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob("../../cmd/waybill/*.go")
	require.NoError(t, err)
	strings := map[string]bool{}
	for _, source := range sources {
		f, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		require.NoError(t, err)
		for _, d := range f.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok || group.Tok != token.VAR {
				continue
			}
			for _, spec := range group.Specs {
				v := spec.(*ast.ValueSpec)
				if kind, ok := v.Type.(*ast.Ident); ok && kind.Name == "string" && len(v.Values) == 0 {
					for _, name := range v.Names {
						strings[name.Name] = true
					}
				}
			}
		}
	}
	for _, file := range []string{"../../Dockerfile", "../../.goreleaser.yaml"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		set := regexp.MustCompile(`-X main\.(\w+)=`).FindAllStringSubmatch(string(text), -1)
		require.Len(t, set, 2, "%s: version and revision", file)
		for _, variable := range set {
			require.Contains(t, strings, variable[1], file)
		}
	}
}

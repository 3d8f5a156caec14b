package compose_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The images are the smallest that there are and no root's; the build takes the Go that the code asks for, and files that are there.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	mod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	require.Contains(t, string(text), "FROM golang:"+string(version[1])+"-")

	stages := strings.Split(string(text), "\nFROM ")
	images := 0
	for _, stage := range stages {
		if !strings.HasPrefix(stage, "scratch") {
			continue
		}
		images++
		require.Contains(t, stage, "\nUSER 65532:65532\n")
		require.Regexp(t, `(?m)^ENTRYPOINT \["/`, stage, "scratch has no shell")
	}
	require.Equal(t, 2, images)
	last := stages[len(stages)-1]
	for _, label := range []string{"title", "description", "licenses", "version", "revision", "created"} {
		require.Contains(t, last, "org.opencontainers.image."+label+"=")
	}
	require.Contains(t, last, `CMD ["/waybill", "health"]`)
	require.Contains(t, last, "WAYBILL_LISTEN=0.0.0.0:8080", "the loopback address is out of reach for everybody else")
	for _, m := range regexp.MustCompile(`(?m)^COPY ([^-.].*) \S+$|\./((?:cmd|scripts)/\S+)`).FindAllStringSubmatch(string(text), -1) {
		for _, path := range strings.Fields(m[1] + " " + m[2]) {
			require.FileExists(t, filepath.Join("../..", path, map[bool]string{true: "main.go"}[m[2] != ""]))
		}
	}
}

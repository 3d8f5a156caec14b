package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A body that something read before is empty, and the report says so rather than to doubt the secret.
func TestVerify_EmptyBody(t *testing.T) {
	t.Parallel()
	body := filepath.Join(t.TempDir(), "body")
	require.NoError(t, os.WriteFile(body, nil, 0o600))
	r := newPerson(t).run(t, "", "verify", "--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "--body", body,
		"-H", "webhook-id: evt_1", "-H", "webhook-timestamp: 1795703776", "-H", "webhook-signature: v1,AAAA", "--at", "1795703776")
	require.Equal(t, ExitFailed, r.code)
	require.Contains(t, r.out, "The body is empty")
	require.NotContains(t, r.out, "Compare the secret")
}

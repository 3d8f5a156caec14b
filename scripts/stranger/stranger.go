package stranger

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"

	"waybill/scripts/stack"
)

// Kind says which implementation verifies a request.
type Kind string

// The kinds.
const (
	StandardWebhooks Kind = "standardwebhooks" // npm standardwebhooks, with Secret
	Svix             Kind = "svix"             // npm svix, with Secret
	V1a              Kind = "v1a"              // Node's Ed25519, with PublicKey or the only key of JWKS as npm jose reads it
	Message          Kind = "message"          // npm http-message-signatures, with JWKS or Secret and KeyID
)

// Request is a request as a receiver got it.
type Request struct {
	Kind   Kind   `json:"kind"`
	Method string `json:"method"`
	// URL is the whole URL, as the receiver knows it.
	URL string `json:"url"`
	// Headers have names in lower case.
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`

	// Secret is the signing secret as shown; for Message the key's bytes in base64, of the keyid KeyID.
	Secret    string          `json:"secret,omitempty"`
	KeyID     string          `json:"key_id,omitempty"`
	PublicKey string          `json:"public_key,omitempty"`
	JWKS      json.RawMessage `json:"jwks,omitempty"`
	// Fields are header fields that a message signature must cover besides the usual.
	Fields []string `json:"fields,omitempty"`
}

// Verify returns a verdict for each request: "" when it verifies, otherwise why not. The packages are kept in .waybill/npm of the
// checkout, and installed there if they are missing.
func Verify(ctx context.Context, requests ...Request) ([]string, error) {
	root, err := stack.FindRoot()
	if err != nil {
		return nil, err
	}
	folder, err := Install(ctx, root)
	if err != nil {
		return nil, err
	}
	in, err := json.Marshal(map[string]any{"requests": requests})
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", "--no-warnings", "verify.mjs")
	cmd.Dir, cmd.Stdin, cmd.Stderr = folder, bytes.NewReader(in), &said
	answer, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("verify with node: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	var out struct {
		Verdicts []string `json:"verdicts"`
	}
	if err := json.Unmarshal(answer, &out); err != nil || len(out.Verdicts) != len(requests) {
		return nil, fmt.Errorf("verify with node: it answered %q", answer)
	}
	return out.Verdicts, nil
}

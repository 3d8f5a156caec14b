package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waybill/client"
	"waybill/schemas"
	"waybill/webhook"
)

// verifyFlags are what the command verify is given.
type verifyFlags struct {
	dialect, dialectFile        string
	secrets                     []string
	secretFile                  string
	capture, body, headers, url string
	header                      []string
	at                          string
}

// errNotVerified ends the command with 1 after its report.
var errNotVerified = errors.New("the request does not verify")

func newVerify(e Env) *cobra.Command {
	f := &verifyFlags{}
	c := &cobra.Command{
		Use:   "verify",
		Short: "Say whether a webhook verifies, and why not",
		Long: "Verifies the signature of a webhook on this machine, without a server, and says which mistake it is where it does not verify.\n\n" +
			"The request is a capture, or a body and headers from files. A capture is the text of an HTTP request, or the JSON of an attempt\n" +
			"as 'GET .../attempts/{attempt}' shows it. - is the standard input. It exits with 0 when the request verifies and 1 when not.",
		Example: "  waybill verify --secret-file secret.txt --capture request.http\n" +
			"  waybill verify --secret-file secret.txt --body body.json --header 'X-Rheo-Signature: sha256=...'\n" +
			"  waybill verify --secret whpk_... --capture attempt.json",
		Args: Arguments(),
	}
	format := AddFormat(c)
	flags := c.Flags()
	flags.StringVar(&f.dialect, "dialect", "", "the tenant's `dialect`; without it the headers tell")
	flags.StringVar(&f.dialectFile, "dialect-file", "", "`file` with a dialect of your own")
	flags.StringArrayVar(&f.secrets, "secret", nil, "signing `secret`, or the public key (whpk_...); twice during a rotation, the new one first")
	flags.StringVar(&f.secretFile, "secret-file", "", "`file` with the secret, which other users of this machine then cannot see")
	flags.StringVar(&f.capture, "capture", "", "`file` with a request, or with an attempt's JSON")
	flags.StringVar(&f.body, "body", "", "`file` with the body, byte for byte")
	flags.StringVar(&f.headers, "headers", "", "`file` with a header on each line")
	flags.StringArrayVarP(&f.header, "header", "H", nil, "a `header`, 'Name: value'; any number of them")
	flags.StringVar(&f.url, "endpoint-url", "", "the endpoint's `URL`, which message signatures (RFC 9421) cover")
	flags.StringVar(&f.at, "at", "", "the receiver's clock, a `time` as 2026-05-27T14:32:00Z or Unix seconds; now, or when the attempt began")
	c.RunE = func(c *cobra.Command, _ []string) error {
		v, err := f.read(interruptible(c.Context(), e.In))
		if err != nil {
			return err
		}
		out := v.verify()
		if format.JSON() {
			err = WriteJSON(c.OutOrStdout(), out)
		} else {
			out.write(c.OutOrStdout())
		}
		if err == nil && !out.Valid {
			err = errNotVerified
		}
		return err
	}
	return c
}

// toVerify is a request, and what it is verified with.
type toVerify struct {
	*captured
	dialect *webhook.Dialect
	// known says that the dialect comes with Waybill.
	known   bool
	secrets []string
	at      time.Time
}

// read reads what the flags name.
func (f *verifyFlags) read(in io.Reader) (*toVerify, error) {
	v := &toVerify{secrets: f.secrets, at: time.Now()}
	if f.secretFile != "" {
		text, err := readInput(in, f.secretFile)
		if err != nil {
			return nil, err
		}
		v.secrets = append(v.secrets, strings.TrimSpace(string(text)))
	}
	if len(v.secrets) == 0 || len(v.secrets) > 2 || slices.Contains(v.secrets, "") {
		return nil, Usagef("give the signing secret with --secret-file or --secret, and during a rotation both")
	}
	var err error
	if v.captured, err = f.request(in); err != nil {
		return nil, err
	}
	if f.url != "" {
		v.url = f.url
	}
	if !v.captured.at.IsZero() {
		v.at = v.captured.at
	}
	if f.at != "" {
		if v.at, err = clockTime(f.at); err != nil {
			return nil, err
		}
	}
	v.dialect, v.known, err = f.findDialect(in, v.header)
	return v, err
}

// clockTime reads a time as people write it.
func clockTime(text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, Usagef("%q is no time like 2026-05-27T14:32:00Z, nor Unix seconds", text)
	}
	return at, nil
}

// findDialect returns the dialect that the flags or the headers name.
func (f *verifyFlags) findDialect(in io.Reader, header http.Header) (d *webhook.Dialect, known bool, err error) {
	if f.dialectFile != "" {
		text, err := readInput(in, f.dialectFile)
		if err != nil {
			return nil, false, err
		}
		if d, err = webhook.ParseDialect(text); err != nil {
			return nil, false, Usagef("%s: %w", f.dialectFile, err)
		}
		return d, false, nil
	}
	all, err := ownDialects()
	if err != nil {
		return nil, false, err
	}
	name := f.dialect
	if name == "" {
		name = guessDialect(all, header)
	}
	d, ok := all[name]
	if !ok {
		return nil, false, Usagef("there is no dialect %q; those of Waybill are %s, and --dialect-file reads another", name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	return d, true, nil
}

// ownDialects are those that come with Waybill.
func ownDialects() (map[string]*webhook.Dialect, error) {
	out := map[string]*webhook.Dialect{}
	files, err := fs.Glob(schemas.Dialects(), "*.json")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := fs.ReadFile(schemas.Dialects(), file)
		if err != nil {
			return nil, err
		}
		d, err := webhook.ParseDialect(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out[d.Name] = d
	}
	return out, nil
}

// guessDialect returns the dialect with a signature header that the request has and no other dialect, else the standard one.
func guessDialect(all map[string]*webhook.Dialect, header http.Header) string {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, s := range all[name].Signatures {
			if s.Header != "webhook-signature" && header.Get(s.Header) != "" {
				return name
			}
		}
	}
	return client.DialectStandard
}

// maxInput bounds what is read of a file.
const maxInput = 2 << 20

// readInput reads a file, or the standard input as "-".
func readInput(in io.Reader, name string) ([]byte, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, &UsageError{err}
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = Usagef("%s is larger than %d MiB", name, maxInput>>20)
	}
	return text, err
}

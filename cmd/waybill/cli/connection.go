package cli

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"waybill/client"
)

// connection says which Waybill a command speaks to, and as whom.
type connection struct {
	env                   Env
	url, keyFile, profile string
}

// maxKeyBytes bounds the file of a key.
const maxKeyBytes = 4 << 10

// connect gives a command, and those below it, the flags that say which Waybill it speaks to.
func connect(e Env, c *cobra.Command) *connection {
	n := &connection{env: e}
	flags := c.PersistentFlags()
	flags.StringVar(&n.url, "url", "", "address of Waybill, such as https://waybill.example.com; overrules the profile and WAYBILL_URL")
	flags.StringVar(&n.keyFile, "key-file", "", "file that holds the API key; overrules the profile, WAYBILL_KEY and WAYBILL_KEY_FILE")
	flags.StringVar(&n.profile, "profile", "", "profile to use, see 'waybill profiles'; overrules all variables")
	for _, name := range []string{"url", "key-file", "profile"} {
		flags.Lookup(name).Annotations = map[string][]string{FlagGroup: {"Which Waybill"}}
	}
	return n
}

// Client returns a client of the Waybill that flags, variables or a profile name.
func (n *connection) Client(options ...client.Option) (*client.Client, error) {
	address, key, err := n.resolve()
	if err != nil {
		return nil, err
	}
	c, err := client.New(address, key, append([]client.Option{client.WithUserAgent("waybill-cli/" + orUnknown(n.env.Version))}, options...)...)
	if err != nil {
		return nil, Usagef("%s", strings.TrimPrefix(err.Error(), "client: "))
	}
	return c, nil
}

// resolve returns the address and the key. The key of a profile goes to the address of that profile only, so that a wrong address
// does not get it. A profile that is named by a flag overrules the variables, which a shell may still have of another Waybill.
func (n *connection) resolve() (address, key string, err error) {
	address, named, file := n.url, n.profile, n.keyFile
	if n.profile == "" {
		address, named = firstOf(n.url, n.env.variable(variableURL)), n.env.variable(variableProfile)
		file = firstOf(n.keyFile, n.keyFileVariable())
		key = n.env.variable(variableKey)
	}
	if file != "" {
		if key, err = readKey(file); err != nil {
			return "", "", err
		}
	}
	if address == "" || key == "" || n.profile != "" {
		p, err := n.env.profile(named)
		if err != nil {
			return "", "", err
		}
		if p != nil && (address == "" || sameAddress(address, p.URL)) {
			address, key = p.URL, firstOf(key, p.Key)
		}
	}
	switch {
	case address == "":
		return "", "", Usagef("which Waybill? Set WAYBILL_URL, give --url, or make a profile: waybill profiles add local --url http://127.0.0.1:8080")
	case key == "":
		return "", "", Usagef("with which key? Set WAYBILL_KEY, give --key-file, or make a profile for %s: waybill profiles add", address)
	}
	n.env.warnOfOpen(address)
	return address, key, nil
}

// warnOfOpen tells that a key crosses a network unencrypted, where it does.
func (e Env) warnOfOpen(address string) {
	if isOpenToRead(address) {
		fmt.Fprintf(e.Err, "waybill: the key goes to %s without TLS, where others may read it\n", clean(address))
	}
}

// keyFileVariable is the variable, unless the key itself is in one.
func (n *connection) keyFileVariable() string {
	if n.env.variable(variableKey) != "" {
		return ""
	}
	return n.env.variable(variableKeyFile)
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func sameAddress(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// isOpenToRead reports whether what is sent to an address crosses a network unencrypted.
func isOpenToRead(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// readKey reads a key from a file.
func readKey(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", &UsageError{fmt.Errorf("the key's file: %w", err)}
	}
	defer f.Close()
	return keyOf(f, "the file "+path)
}

// keyOf reads a key; a line break at its end does not count.
func keyOf(in io.Reader, from string) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(in, maxKeyBytes+1))
	key := strings.TrimSpace(string(raw))
	switch {
	case err != nil:
		return "", fmt.Errorf("read the key: %w", err)
	case len(raw) > maxKeyBytes, strings.ContainsAny(key, "\r\n"):
		return "", Usagef("%s holds more than a key", from)
	case key == "":
		return "", Usagef("%s holds no key", from)
	}
	return key, nil
}

func orUnknown(version string) string { return firstOf(version, "unknown") }

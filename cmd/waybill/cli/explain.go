package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"waybill/client"
)

// explain makes an error of a call readable: what the server said, the fields that are wrong, and what to do where that is known.
func explain(err error) error {
	var usage *UsageError
	if errors.As(err, &usage) {
		return err
	}
	var refused *client.Error
	if !errors.As(err, &refused) {
		if err == nil {
			return nil
		}
		if says := unreached(err); says != "" {
			return errors.New(says)
		}
		return errors.New(clean(strings.TrimPrefix(err.Error(), "client: ")))
	}
	var text strings.Builder
	text.WriteString(clean(refused.Error()))
	for _, f := range refused.Fields {
		fmt.Fprintf(&text, "\n  %s: %s", clean(f.Field), clean(f.Detail))
	}
	if refused.Status == 401 {
		text.WriteString("\n  The key is not one of this Waybill, or it has ended: see WAYBILL_KEY and 'waybill profiles list'.")
	}
	return errors.New(text.String())
}

// unreached says why a request has no answer; "": that is not what the error is about.
func unreached(err error) string {
	var asked *url.Error
	if !errors.As(err, &asked) {
		return ""
	}
	host := asked.URL
	if u, err := url.Parse(asked.URL); err == nil {
		host = u.Host
	}
	host = clean(host)
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return errInterrupted.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("there is no host %s: is the address right?", clean(dns.Name))
	case asked.Timeout():
		return fmt.Sprintf("%s does not answer in time", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens at %s: is Waybill running, and is the address right?", host)
	case isEnded(err):
		return fmt.Sprintf("%s ended the connection without an answer", host)
	default:
		return fmt.Sprintf("%s cannot be reached: %s", host, clean(reason(err)))
	}
}

// reason is an error of the network without the request that it was of.
func reason(err error) string {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	return err.Error()
}

// explainFlagError explains a wrong flag, and refuses a key as one.
func explainFlagError(c *cobra.Command, err error) error {
	for _, name := range []string{"--key", "--api-key", "'k' in -key", "'a' in -api-key"} {
		if strings.Contains(err.Error()+" ", name+" ") || strings.Contains(err.Error(), name+"=") {
			return Usagef("a key is no flag, because every user of this machine can read it: set %s, or let --key-file name a file that holds it", variableKey)
		}
	}
	return ExplainFlagError(c, err)
}

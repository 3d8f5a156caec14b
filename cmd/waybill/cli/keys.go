package cli

import (
	"iter"
	"time"

	"github.com/spf13/cobra"

	"waybill/client"
)

var keyColumns = []column[client.Key]{
	{"ID", false, func(k client.Key) string { return k.ID }},
	{"NAME", false, func(k client.Key) string { return k.Name }},
	{"SCOPES", false, func(k client.Key) string { return words(k.Scopes) }},
	{"LAST USED", false, func(k client.Key) string { return maybeAt(k.LastUsedAt) }},
	{"EXPIRES", false, func(k client.Key) string { return maybeAt(k.ExpiresAt) }},
	{"REVOKED", false, func(k client.Key) string { return maybeAt(k.RevokedAt) }},
	{"MADE BY", true, func(k client.Key) string { return orNone(k.CreatedBy) }},
	{"NETWORKS", true, func(k client.Key) string { return words(k.AllowCidrs) }},
	{"CREATED", true, func(k client.Key) string { return at(k.CreatedAt) }},
	{"KEY, SHOWN ONCE", true, func(k client.Key) string { return orNone(k.Key) }},
	{"OLD KEY VALID UNTIL", true, func(k client.Key) string { return maybeAt(k.PreviousValidUntil) }},
}

func newKeys(e Env) *cobra.Command {
	c := &cobra.Command{
		Use: "keys", Short: "API keys of a tenant",
		Long:    "Shows, makes, rotates and ends the API keys of a tenant.",
		Example: "  waybill keys create --tenant acme --name backend --scopes publish,read\n  waybill keys list --tenant acme",
	}
	s := newScope(e, c)
	c.AddCommand(
		many(s.open, e, about{"list", "List the keys", "Lists the keys of a tenant. What they are is never shown again.", "waybill keys list --tenant acme"}, keyColumns,
			func(in call, page *int) (iter.Seq2[client.Key, error], error) {
				return in.client.Keys(in.ctx, in.tenant, &client.ListKeysParams{Limit: page}), nil
			}),
		newKeysCreate(s), newKeysRotate(s), newKeysDelete(s),
	)
	return MakeParent(c)
}

// lifetime adds a flag for when a key ends.
func lifetime(c *cobra.Command) func() (*time.Time, error) {
	var given string
	c.Flags().StringVar(&given, "expires", "", "when it ends: a time such as 2026-05-27T14:00:00Z, or how long it lives, such as 720h")
	return func() (*time.Time, error) {
		if given == "" {
			return nil, nil
		}
		if at, err := time.Parse(time.RFC3339, given); err == nil {
			return &at, nil
		}
		lives, err := time.ParseDuration(given)
		if err != nil || lives <= 0 {
			return nil, Usagef("--expires is a time such as 2026-05-27T14:00:00Z, or how long it lives, such as 720h, not %q", given)
		}
		return new(time.Now().Add(lives)), nil
	}
}

func newKeysCreate(s *scope) *cobra.Command {
	var b *body
	var self *cobra.Command
	var expires func() (*time.Time, error)
	self = one(s.open, s.env, about{
		"create", "Make a key", "Makes an API key of a tenant. The answer shows it, once.",
		"waybill keys create --tenant acme --name backend --scopes publish,read --expires 2160h",
	}, keyColumns, func(in call) (*client.Key, error) {
		var request client.KeyCreate
		if err := b.into(self, &request); err != nil {
			return nil, err
		}
		at, err := expires()
		if err != nil {
			return nil, err
		}
		if at != nil {
			request.ExpiresAt = at
		}
		return in.client.CreateKey(in.ctx, in.tenant, request)
	})
	b = addBody(s.env, self, false,
		field{"name", "name", aText, "what it is for"},
		field{"scopes", "scopes", aList, "what it may do, by commas: publish, read, manage"},
		field{"allow-cidrs", "allow_cidrs", aList, "networks that it may be used from, by commas"},
	)
	expires = lifetime(self)
	return self
}

func newKeysRotate(s *scope) *cobra.Command {
	var overlap string
	var expires func() (*time.Time, error)
	c := one(s.open, s.env, about{
		"rotate KEY", "Replace a key", "Replaces a key with a new one of the same rights. The old one works until the overlap ends. The answer shows the new one, once.",
		"waybill keys rotate key_0197122f3c4b7d1e8f00112233445566 --tenant acme --overlap 24h",
	}, keyColumns, func(in call) (*client.Key, error) {
		at, err := expires()
		if err != nil {
			return nil, err
		}
		return in.client.RotateKey(in.ctx, in.tenant, in.args[0], &client.KeyRotation{Overlap: maybe(overlap), ExpiresAt: at})
	})
	c.Flags().StringVar(&overlap, "overlap", "", "how long the old key works too, such as 24h")
	expires = lifetime(c)
	return c
}

func newKeysDelete(s *scope) *cobra.Command {
	var made bool
	c := done(s.open, s.env, about{
		"delete KEY", "End a key", "Ends a key at once. With --made also the keys that it made, and those that they made.",
		"waybill keys delete key_0197122f3c4b7d1e8f00112233445566 --tenant acme",
	}, "is revoked.", func(in call) error {
		p := &client.RevokeKeyParams{}
		if made {
			p.Made = &made
		}
		return in.client.RevokeKey(in.ctx, in.tenant, in.args[0], p)
	})
	c.Flags().BoolVar(&made, "made", false, "end the keys too that it made")
	return c
}

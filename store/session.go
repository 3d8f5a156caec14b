package store

import (
	"context"

	"waybill/webhook"
)

// FoundSession is a session with the key that made it or its link.
type FoundSession struct {
	webhook.Session
	// Key is nil where an administrator's key made it.
	Key *webhook.APIKey
}

// FoundLink is a link that was not opened, with the key that made it.
type FoundLink struct {
	webhook.Link
	// Key is nil where an administrator's key made it.
	Key *webhook.APIKey
}

// Sessions keeps sessions and the links that open them, by the SHA-256 of their tokens.
type Sessions interface {
	// CreateSession stores a session that a key made. The oldest of more than webhook.MaxSessions end. CodeUnauthorized: the key is
	// revoked by now.
	CreateSession(ctx context.Context, s *webhook.Session, hash []byte, once *Once) error
	// SessionByHash answers CodeUnauthorized for a session that is unknown or was ended, and where the key that made it, or its link, is
	// revoked. One that has expired is found, and so is one whose key has.
	SessionByHash(ctx context.Context, hash []byte) (*FoundSession, error)
	// EndSession ends a session. One that has ended is no error.
	EndSession(ctx context.Context, s *webhook.Session) error
	// CreateLink answers CodeConflict when the tenant has webhook.MaxLinks links that have not ended, and CodeUnauthorized when the key
	// that makes it is revoked by now.
	CreateLink(ctx context.Context, l *webhook.Link, hash []byte, once *Once) error
	// OpenLink stores the session that open returns, with the hash of its token, and opens the link with that, once: of several calls
	// one succeeds. The session's audit entry has the link as its actor. open is asked while nobody else can open the link; its error is
	// returned unchanged, and the link stays as it is. CodeUnauthorized: the link is unknown, was opened, or its key is revoked.
	OpenLink(ctx context.Context, hash []byte, open func(*FoundLink) (*webhook.Session, []byte, error)) error
}

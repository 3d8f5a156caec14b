package stack

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/lib/pq"
)

// setUpSchema creates or updates Temporal's two databases and trims the visibility indexes.
func (s *Stack) setUpSchema(ctx context.Context, tools *Tools) error {
	indexes, err := s.visibilityIndexes()
	if err != nil {
		return err
	}
	// The database notes what is in place, so the note cannot outlive the data. The tool would need seconds to find out.
	sum := sha256.Sum256([]byte(indexes))
	stamp := "waybill: " + SQLTool.Version + " " + hex.EncodeToString(sum[:6])
	if done, err := s.stamped(ctx, stamp); err != nil || done {
		return err
	}
	err = s.Out.During("setting up Temporal's database", func() error {
		return Parallel(ctx,
			func(ctx context.Context) error { return s.updateSchema(ctx, tools, "temporal", "temporal") },
			func(ctx context.Context) error {
				return s.updateSchema(ctx, tools, "temporal_visibility", "visibility")
			},
		)
	})
	if err != nil {
		return fmt.Errorf("set up Temporal's database: %w", err)
	}
	return s.withDatabase("temporal_visibility", func(db *sql.DB) error {
		if _, err := db.ExecContext(ctx, indexes); err != nil {
			return fmt.Errorf("trim the visibility indexes: %w", err)
		}
		if _, err := db.ExecContext(ctx, "COMMENT ON DATABASE temporal_visibility IS "+pq.QuoteLiteral(stamp)); err != nil {
			return fmt.Errorf("note the schema version: %w", err)
		}
		return nil
	})
}

func (s *Stack) stamped(ctx context.Context, stamp string) (bool, error) {
	var found sql.NullString
	err := s.withServer(s.temporalPostgres(), "postgres", func(db *sql.DB) error {
		return db.QueryRowContext(ctx, `SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'temporal_visibility'`).Scan(&found)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for Temporal's database: %w", err)
	}
	return found.String == stamp, nil
}

func (s *Stack) updateSchema(ctx context.Context, tools *Tools, database, schema string) error {
	if err := s.createDatabase(ctx, database); err != nil {
		return err
	}
	c := command{env: []string{"SQL_PASSWORD=" + s.password}}
	common := []string{
		"--plugin", "postgres12_pgx", "--endpoint", "127.0.0.1", "--port", s.temporalPostgres().port.String(),
		"--user", superuser, "--database", database,
	}
	// This makes only the table of schema versions; the update makes all the others.
	if err := c.run(ctx, tools.Path(SQLTool), append(common, "setup-schema", "--version", "0.0")...); err != nil {
		return err
	}
	return c.run(ctx, tools.Path(SQLTool), append(common, "update-schema", "--schema-name", "postgresql/v12/"+schema)...)
}

package stack

import (
	"context"
	"fmt"
	"os"
)

// TemporalDatabases are the databases of the stack's Temporal: what workflows are, and the lists of them.
var TemporalDatabases = []string{"temporal", "temporal_visibility"}

// Backup writes a database to a file with pg_dump, as an operator would, while whoever works on it goes on.
func (s *Stack) Backup(ctx context.Context, database, file string) error {
	return s.client(ctx, s.serverOf(database), "pg_dump", "--format", "custom", "--file", file, database)
}

// Restore puts a backup in the place of its database, whatever is in that. Nobody may be at work on it: sessions that are left are ended.
func (s *Stack) Restore(ctx context.Context, database, file string) error {
	if err := s.client(ctx, s.serverOf(database), "dropdb", "--force", database); err != nil {
		return err
	}
	return s.client(ctx, s.serverOf(database), "pg_restore", "--create", "--exit-on-error", "--dbname", "postgres", file)
}

// client runs one of Postgres' client programs against one of the stack's Postgres servers.
func (s *Stack) client(ctx context.Context, on pgServer, program string, args ...string) error {
	pg, err := s.installation(ctx)
	if err != nil {
		return err
	}
	if _, err := os.Stat(pg.program(program)); err != nil {
		return fmt.Errorf("find Postgres' client programs: %w", err)
	}
	c := command{env: []string{"PGHOST=127.0.0.1", "PGPORT=" + on.port.String(), "PGUSER=" + superuser, "PGPASSWORD=" + s.password}}
	return c.run(ctx, pg.program(program), args...)
}

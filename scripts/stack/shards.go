package stack

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
)

// Shard is a history shard: a part of the workflows, which one history service holds at a time.
type Shard struct {
	ID int
	// Owner is the name of the process that holds it; "" when nobody held it yet.
	Owner string
	// Open counts its workflows that are under way.
	Open int
}

// shardOwner is what Temporal stores of a shard's owner: the address of its history service, and what tells this hold from others.
var shardOwner = regexp.MustCompile(`127\.0\.0\.1:(\d+)-`)

// Shards returns all history shards, by Temporal's own tables.
func (s *Stack) Shards(ctx context.Context) ([]Shard, error) {
	holders := map[string]string{}
	for _, n := range s.nodes() {
		if n.service == "" || n.service == "history" {
			holders[n.ports["HISTORY_GRPC_PORT"].String()] = n.name
		}
	}
	var shards []Shard
	err := s.withDatabase("temporal", func(db *sql.DB) error {
		// States from 3 on are closed.
		rows, err := db.QueryContext(ctx, `SELECT shard_id, data,
			(SELECT count(*) FROM current_executions e WHERE e.shard_id = s.shard_id AND e.state < 3) FROM shards s ORDER BY shard_id`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var one Shard
			var data []byte
			if err := rows.Scan(&one.ID, &data, &one.Open); err != nil {
				return err
			}
			if found := shardOwner.FindSubmatch(data); found != nil {
				one.Owner = holders[string(found[1])]
			}
			shards = append(shards, one)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("look at the history shards: %w", err)
	}
	return shards, nil
}

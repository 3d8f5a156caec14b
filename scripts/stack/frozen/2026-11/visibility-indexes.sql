-- Trims the indexes of Temporal's visibility table (server 1.32, visibility schema 1.14). Run it after the schema
-- tool; running it again changes nothing.
--
-- Why: executions_visibility comes with about 75 indexes, one for each search attribute anybody might define. Nearly
-- all of them contain close_time, so every workflow pays for all of them twice, at its start and at its close: most of
-- the SQL time of a short workflow. A query without its index still answers, by scanning.
--
-- Kept whole: lists by time, and what operators look workflows up by (id, type, status).
-- Kept partial: the columns behind custom search attributes. The server picks a free KeywordNN column at random for
-- each new Keyword attribute, so the column of WaybillTenant cannot be known here. An index WHERE ... IS NOT NULL
-- costs nothing for a column nobody uses, serves every "attribute = value" query, and for WaybillStatus, which most
-- workflows never set, holds just the few that did. The same goes for the namespace division, which marks the
-- server's own schedules and batches.
--
-- Before Temporal's schema is updated beyond 1.14, read the update: one that drops an index missing here needs it
-- created first.
DO $$
DECLARE
  close_order CONSTANT text := '(COALESCE(close_time, ''9999-12-31 23:59:59'')) DESC, start_time DESC, run_id';
  kept        CONSTANT text[] := ARRAY['executions_visibility_pkey', 'default_idx', 'by_workflow_id', 'by_workflow_type', 'by_status'];
  doomed      text;
  col         text;
BEGIN
  FOR doomed IN
    SELECT indexname FROM pg_indexes
    WHERE schemaname = current_schema() AND tablename = 'executions_visibility'
      AND indexname <> ALL (kept) AND indexname NOT LIKE 'waybill\_%'
  LOOP
    EXECUTE format('DROP INDEX %I', doomed);
  END LOOP;

  FOREACH col IN ARRAY ARRAY['keyword01', 'keyword02', 'keyword03', 'keyword04', 'keyword05', 'keyword06', 'keyword07',
                             'keyword08', 'keyword09', 'keyword10', 'temporalnamespacedivision']
  LOOP
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON executions_visibility (namespace_id, %I, %s) WHERE %I IS NOT NULL',
                   'waybill_' || col, col, close_order, col);
  END LOOP;

  FOREACH col IN ARRAY ARRAY['keywordlist01', 'keywordlist02', 'keywordlist03']
  LOOP
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON executions_visibility USING gin (namespace_id, %I jsonb_path_ops) WHERE %I IS NOT NULL',
                   'waybill_' || col, col, col);
  END LOOP;
END
$$;

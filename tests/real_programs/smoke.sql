-- What databases do, with an output that is always the same: run by tests/integration/test_real_programs.py.
\set ON_ERROR_STOP off
\set VERBOSITY terse
CREATE TABLE account (id int PRIMARY KEY, branch int NOT NULL, balance int NOT NULL, note text);
INSERT INTO account SELECT i, i % 17, i * 7919 % 1000, md5(i::text) FROM generate_series(1, 60000) i;
CREATE INDEX by_branch ON account (branch, balance);
ANALYZE account;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET max_parallel_workers_per_gather = 4;
SELECT branch, count(*), sum(balance), md5(string_agg(note, '' ORDER BY id)) FROM account GROUP BY branch ORDER BY branch;
SELECT count(*) FROM account a JOIN account b ON a.balance = b.balance AND a.branch = b.branch WHERE a.id % 50 = 0;
SET work_mem = '64kB';
SELECT md5(string_agg(note, '')) FROM (SELECT note FROM account ORDER BY note DESC) sorted;
SET jit = on;
SET jit_above_cost = 0;
SELECT sum(balance * 3 + branch % 5) FROM account WHERE note LIKE '%ab%';
RESET jit_above_cost;
CREATE FUNCTION tries(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE caught int := 0;
BEGIN
    FOR i IN 1..n LOOP
        BEGIN
            INSERT INTO account VALUES (i, 0, 1 / (i % 3), '');
        EXCEPTION WHEN unique_violation OR division_by_zero THEN caught := caught + 1;
        END;
    END LOOP;
    RETURN caught;
END $$;
SELECT tries(2000);
SELECT 1 / 0;
BEGIN;
UPDATE account SET balance = balance + 1 WHERE branch = 3;
SAVEPOINT a;
DELETE FROM account WHERE branch = 4;
ROLLBACK TO a;
COMMIT;
SELECT sum(balance), count(*) FROM account;
COPY (SELECT id, note FROM account WHERE id <= 3 ORDER BY id) TO STDOUT;
CREATE MATERIALIZED VIEW totals AS SELECT branch, sum(balance) AS total FROM account GROUP BY branch;
REFRESH MATERIALIZED VIEW totals;
SELECT sum(total) FROM totals;
SELECT (SELECT count(*) FROM regexp_matches(repeat('postgres ', 2000), '(\w)o', 'g')), length(repeat('x', 1000000));
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5000) SELECT sum(n) FROM t;
VACUUM FULL account;
REINDEX TABLE account;
CHECKPOINT;
SET statement_timeout = '50ms';
SELECT pg_sleep(60);
RESET statement_timeout;
SELECT pg_advisory_lock(1), pg_advisory_unlock(1);
DROP TABLE account CASCADE;

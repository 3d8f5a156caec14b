package postgres

// events, deliveries and attempts are partitioned by id, and that is by month. A statement that finds rows by something else, such as
// the deliveries of an event, looks into every month that is kept. These conditions say in which months the rows can be.
//
// The bounds come from another row, which is read first: OFFSET 0 keeps the planner from going the other way round. The last term of each
// says nothing new. It keeps the planner from reading all ids of the range with their index: where it has no statistics, it takes a range
// for as rare as a key. An OR serves to choose partitions, and no index.
const (
	// ofStored is the condition of the deliveries d of an event as storedEvents gives it. Their ids are made right after the event's key, or
	// when it is stored where it came by the outbox, or by a recovery as of that moment. Ids of a process increase, so that they are ahead of
	// its clock once that was set back: the range has both, and a day besides.
	ofStored = `d.event_key = stored.key AND (d.id >= least(uuid_floor(stored.stored_at - interval '1 day'), stored.key)
		AND d.id < greatest(uuid_floor(stored.stored_at + interval '1 day'), ` + dayAfterStored + `) OR d.id = stored.key)`

	dayAfterStored = `(lpad(to_hex(('x' || left(replace(stored.key::text, '-', ''), 12))::bit(48)::bigint + 86400000), 12, '0') || repeat('0', 20))::uuid`

	storedEvents = `(SELECT id AS key, created_at AS stored_at FROM events) AS stored`

	// deliveriesOfStored are the deliveries d of the events before it, and storedDeliveries those of all events. Their columns need not be
	// qualified.
	deliveriesOfStored = ` CROSS JOIN LATERAL (SELECT * FROM deliveries d WHERE ` + ofStored + ` OFFSET 0) AS d`
	storedDeliveries   = storedEvents + deliveriesOfStored

	// ofDelivery is the condition of the attempts a of a delivery d. The id of an attempt is as of its end, and so is the delivery's
	// updated_at. A day is more than the clocks of two processes differ, or than one of them is suspended.
	ofDelivery = `a.delivery_id = d.id AND (a.id >= uuid_floor(d.created_at - interval '1 day')
		AND a.id < uuid_floor(d.updated_at + interval '1 day') OR a.id = uuid_floor(d.updated_at))`

	// attemptsOfDeliveries are the attempts a of the deliveries d before it.
	attemptsOfDeliveries = ` CROSS JOIN LATERAL (SELECT * FROM attempts a WHERE ` + ofDelivery + ` OFFSET 0) AS a`
)

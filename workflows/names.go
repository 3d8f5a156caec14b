package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"

	"waybill/webhook"
)

// Task queues. The names are part of running workflows: do not change them.
const (
	// TaskQueue carries workflow tasks; fast-lane attempts run inside them.
	TaskQueue = "waybill"
	// WideQueue is TaskQueue for the events to more than WideDeliveries endpoints, and their parts. On the same queue the attempts of one
	// such event would take the places of those of other tenants. Its fairness key is the tenant.
	WideQueue = "waybill-wide"
	// EndpointsQueue carries the workflow tasks of EndpointQueue and EndpointNotices. They are few and short. On the queue of events
	// they would wait behind thousands of retries, just when an endpoint is in trouble.
	EndpointsQueue = "waybill-endpoints"
	// IsolatedQueue carries the attempts of slow endpoints, and housekeeping.
	IsolatedQueue = "waybill-isolated"
	// MailQueue carries mails. Only processes that have a mail server work on it.
	MailQueue = "waybill-mail"
)

// Workflow types.
const (
	EventDeliveryType   = "EventDelivery"
	EndpointQueueType   = "EndpointQueue"
	EndpointNoticesType = "EndpointNotices"
	TenantErasureType   = "TenantErasure"
	// EndpointChallengeType asks a receiver to prove itself.
	EndpointChallengeType = "EndpointChallenge"
)

// Signals of EventDelivery, and updates of the same names; each takes an EndpointSignal, an update answers an UpdateAnswer.
const (
	SignalDisableEndpoint = "disable_endpoint"
	SignalEnableEndpoint  = "enable_endpoint"
	SignalRetryNow        = "retry_now"
	SignalCancelDelivery  = "cancel_delivery"
)

// SignalWake tells EndpointQueue that something new may be due, or that its endpoint was enabled, disabled or deleted, and
// EndpointNotices that something is to be told.
const SignalWake = "wake"

// Queries of EventDelivery.
const (
	// QueryHistory answers a HistoryAnswer.
	QueryHistory = "delivery_history"
	// QueryStatus answers one line of text per delivery.
	QueryStatus = "delivery_status"
)

// QueryErasureStatus is the query of TenantErasure; it answers a TenantErasureStatus.
const QueryErasureStatus = "erasure_status"

// QueryQueueStatus is the query of EndpointQueue; it answers a QueueStatus.
const QueryQueueStatus = "queue_status"

// Search attributes, registered when the namespace is set up.
var (
	AttributeTenant    = temporal.NewSearchAttributeKeyKeyword("WaybillTenant")
	AttributeEventType = temporal.NewSearchAttributeKeyKeyword("WaybillEventType")
	AttributeEndpoints = temporal.NewSearchAttributeKeyKeywordList("WaybillEndpoints")
	// AttributeStatus has every status that occurs among the deliveries. It is set only once a workflow leaves the happy path.
	AttributeStatus = temporal.NewSearchAttributeKeyKeywordList("WaybillStatus")
)

// SearchAttributes lists all search attributes that a namespace needs.
func SearchAttributes() []temporal.SearchAttributeKey {
	return []temporal.SearchAttributeKey{AttributeTenant, AttributeEventType, AttributeEndpoints, AttributeStatus}
}

// ProcessQueue is the task queue of one process alone.
func ProcessQueue(process string) string { return IsolatedQueue + "/" + process }

// EventDeliveryID is the workflow id of an event.
func EventDeliveryID(tenant, eventID string) string { return tenant + "/" + eventID }

// EndpointQueueID is the workflow id of an endpoint's queue. Event ids have no slash, so it cannot be an event's.
func EndpointQueueID(tenant string, endpoint webhook.EndpointID) string {
	return fmt.Sprintf("%s/queue/%s", tenant, endpoint)
}

// EndpointNoticesID is the workflow id of what tells of an endpoint's trouble. Event ids have no slash, so it cannot be an event's.
func EndpointNoticesID(tenant string, endpoint webhook.EndpointID) string {
	return fmt.Sprintf("%s/notices/%s", tenant, endpoint)
}

// EndpointChallengeID is the workflow id of the challenge to an endpoint's receiver. Event ids have no slash, so it cannot be an event's.
func EndpointChallengeID(tenant string, endpoint webhook.EndpointID) string {
	return fmt.Sprintf("%s/challenge/%s", tenant, endpoint)
}

// TenantErasureID is the workflow id of the erasure of a tenant. Event ids have no slash, so it cannot be an event's.
func TenantErasureID(tenant string) string { return tenant + "/erasure/tenant" }

const partInfix = "/part/"

// IsPartID reports whether a workflow id is that of a part of a large event, which ends with its event.
func IsPartID(id string) bool { return strings.Contains(id, partInfix) }

// partID is the workflow id of part n (from 1) of a large event.
func partID(id string, n int) string { return fmt.Sprintf("%s%s%d", id, partInfix, n) }

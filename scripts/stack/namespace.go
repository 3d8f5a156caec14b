package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// ClosedFor is how long Temporal keeps closed workflows. Nothing but the Web UI needs them. A day and a half has those of the busy hours
// deleted in the quiet ones.
const ClosedFor = 36 * time.Hour

// searchAttributes are what operators find Waybill's workflows by.
var searchAttributes = map[string]enumspb.IndexedValueType{
	"WaybillTenant":    enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	"WaybillEventType": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	"WaybillEndpoints": enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST,
	"WaybillStatus":    enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}

// EnsureNamespace makes a namespace with Waybill's search attributes, and waits until it can be used at each of the addresses, which
// are separated by commas.
func EnsureNamespace(ctx context.Context, addresses, namespace string) error {
	return EnsureNamespaceKeeping(ctx, addresses, namespace, ClosedFor)
}

// EnsureNamespaceKeeping is EnsureNamespace with another time for which closed workflows are kept. The server's
// system.namespaceMinRetentionLocal is the least, an hour by default. A namespace that is there keeps its own.
func EnsureNamespaceKeeping(ctx context.Context, addresses, namespace string, closedFor time.Duration) error {
	for address := range strings.SplitSeq(addresses, ",") {
		if err := ensureNamespaceAt(ctx, address, namespace, closedFor); err != nil {
			return err
		}
	}
	return nil
}

func ensureNamespaceAt(ctx context.Context, address, namespace string, closedFor time.Duration) error {
	o, err := newOperator(address, namespace)
	if err != nil {
		return err
	}
	defer o.close()
	o.closedFor = closedFor
	return until(ctx, "namespace "+namespace, time.Minute, o.ensureNamespace, nil)
}

// DeleteNamespace removes a namespace with its workflows. Temporal does the larger part of it afterwards.
func DeleteNamespace(ctx context.Context, address, namespace string) error {
	o, err := newOperator(address, namespace)
	if err != nil {
		return err
	}
	defer o.close()
	_, err = o.operator.DeleteNamespace(ctx, &operatorservice.DeleteNamespaceRequest{Namespace: namespace})
	return temporalError("delete the namespace", err)
}

// operator does for one namespace of Temporal what an operator does by the command line, which takes minutes to build.
type operator struct {
	namespace string
	closedFor time.Duration
	conn      *grpc.ClientConn
	operator  operatorservice.OperatorServiceClient
	workflows workflowservice.WorkflowServiceClient
}

func newOperator(address, namespace string) (*operator, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connect to Temporal: %w", err)
	}
	return &operator{namespace, ClosedFor, conn, operatorservice.NewOperatorServiceClient(conn), workflowservice.NewWorkflowServiceClient(conn)}, nil
}

func (o *operator) close() { _ = o.conn.Close() }

// health succeeds once a service serves. Each try has a moment only, so that a server that starts is seen at once.
func (o *operator) health(ctx context.Context, service string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	o.conn.Connect()
	o.conn.ResetConnectBackoff()
	out, err := grpc_health_v1.NewHealthClient(o.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	if err != nil {
		return temporalError("ask how Temporal is", err)
	}
	if out.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("temporal says: %s", out.GetStatus())
	}
	return nil
}

// ensureNamespace succeeds once the namespace has every search attribute, and takes the next step towards that. The server's
// services learn of a change within seconds, so a failure means: try again.
func (o *operator) ensureNamespace(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	listed, err := o.operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: o.namespace})
	var missing *serviceerror.NamespaceNotFound
	if errors.As(serviceerror.FromStatus(status.Convert(err)), &missing) {
		_, err := o.workflows.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace: o.namespace, WorkflowExecutionRetentionPeriod: durationpb.New(o.closedFor),
		})
		if err != nil {
			return temporalError("create the namespace", err)
		}
		return fmt.Errorf("namespace %s was created a moment ago", o.namespace)
	}
	if err != nil {
		return temporalError("list the search attributes", err)
	}
	changed, err := o.changeAttributes(ctx, listed.GetCustomAttributes())
	if err != nil {
		return err
	}
	if changed {
		return errors.New("search attributes were changed a moment ago")
	}
	return o.useAttributes(ctx)
}

// changeAttributes removes a search attribute of another type, which Temporal does not change in place, or else creates what is missing.
func (o *operator) changeAttributes(ctx context.Context, have map[string]enumspb.IndexedValueType) (changed bool, err error) {
	create := map[string]enumspb.IndexedValueType{}
	var remove []string
	for name, kind := range searchAttributes {
		switch now, is := have[name]; {
		case !is:
			create[name] = kind
		case now != kind: // of an earlier version
			remove = append(remove, name)
		}
	}
	switch {
	case len(remove) > 0:
		in := &operatorservice.RemoveSearchAttributesRequest{Namespace: o.namespace, SearchAttributes: remove}
		_, err := o.operator.RemoveSearchAttributes(ctx, in)
		return true, temporalError("remove search attributes of an earlier version", err)
	case len(create) > 0:
		in := &operatorservice.AddSearchAttributesRequest{Namespace: o.namespace, SearchAttributes: create}
		_, err := o.operator.AddSearchAttributes(ctx, in)
		return true, temporalError("create search attributes", err)
	}
	return false, nil
}

// useAttributes succeeds once the frontend, which keeps a copy of its own, knows the search attributes too. Before that no workflow
// could be started with them.
func (o *operator) useAttributes(ctx context.Context) error {
	var query []string
	for name := range searchAttributes {
		query = append(query, name+" = 'none'")
	}
	in := &workflowservice.CountWorkflowExecutionsRequest{Namespace: o.namespace, Query: strings.Join(query, " AND ")}
	_, err := o.workflows.CountWorkflowExecutions(ctx, in)
	return temporalError("use the search attributes", err)
}

func temporalError(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

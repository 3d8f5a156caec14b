package main_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"
)

// makeNamespace registers a namespace with the search attributes that an operator has to provide.
func makeNamespace(address, namespace string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	options := client.Options{HostPort: address, Namespace: namespace, Logger: quiet{}}
	namespaces, err := client.NewNamespaceClient(options)
	if err != nil {
		return err
	}
	defer namespaces.Close()
	err = namespaces.Register(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if err != nil {
		return err
	}
	c, err := client.NewLazyClient(options)
	if err != nil {
		return err
	}
	defer c.Close()
	// The server's services learn of a new namespace, and of its attributes, one after the other.
	if err := until(patience, func() error { return addSearchAttributes(ctx, c, namespace) }); err != nil {
		return err
	}
	return until(patience, func() error {
		_, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: namespace,
			Query:     "WaybillTenant = 'a' AND WaybillEventType = 'b' AND WaybillEndpoints = 'c' AND WaybillStatus = 'd'",
		})
		return err
	})
}

func addSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace,
		SearchAttributes: map[string]enumspb.IndexedValueType{
			"WaybillTenant":    enumspb.INDEXED_VALUE_TYPE_KEYWORD,
			"WaybillEventType": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
			"WaybillEndpoints": enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST,
			"WaybillStatus":    enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST,
		},
	})
	var there *serviceerror.AlreadyExists
	if errors.As(err, &there) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("add the search attributes: %w", err)
	}
	return nil
}

// quiet keeps the client's own log out of the tests' output.
type quiet struct{}

var _ log.Logger = quiet{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

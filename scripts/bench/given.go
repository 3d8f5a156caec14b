package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// givenFlags are for measuring on what is there already.
func (o *options) givenFlags(set *flag.FlagSet) {
	set.StringVar(&o.databaseURL, "database-url", "", "start Waybill on this Postgres, in a schema of its own; with -temporal-address")
	set.StringVar(&o.temporal, "temporal-address", "", "use this Temporal, `host:port` without TLS")
	set.StringVar(&o.namespace, "temporal-namespace", "",
		"a `namespace` with Waybill's search attributes in which no other Waybill works; otherwise one is made and deleted again")
	set.StringVar(&o.url, "url", "", "measure a Waybill that runs already and may call this machine: `http://host:port`")
	set.StringVar(&o.apiKey, "api-key", "", "the administrator's key of that Waybill; WAYBILL_API_KEY otherwise")
}

// given reports whether no stack is to be brought up.
func (o *options) given() bool { return o.databaseURL != "" || o.temporal != "" || o.url != "" }

// checkGiven refuses an incomplete set of flags, and drops an API key that is not needed.
func (o *options) checkGiven() error {
	if o.url == "" {
		o.apiKey = ""
	} else if o.apiKey == "" {
		o.apiKey = os.Getenv("WAYBILL_API_KEY") // no default of the flag, which the usage would show
	}
	o.url = strings.TrimSuffix(o.url, "/")
	return errors.Join(
		refuse(o.url == "" && (o.databaseURL == "") != (o.temporal == ""), "-database-url and -temporal-address need each other"),
		refuse(o.url != "" && o.databaseURL != "", "-url is of a Waybill that has its database: leave -database-url out"),
		refuse(o.url != "" && o.apiKey == "", "-url needs -api-key"),
		refuse(o.namespace != "" && o.temporal == "", "-temporal-namespace needs -temporal-address"),
		refuse(o.given() && len(o.without) > 0, "-without and -stock are for a stack that is brought up here"),
		checkURL("database-url", o.databaseURL, "postgres", "postgresql"),
		checkURL("url", o.url, "http", "https"),
	)
}

// checkURL does not show the URL: it may have a password.
func checkURL(name, text string, schemes ...string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err == nil && u.Host != "" {
		for _, s := range schemes {
			if u.Scheme == s {
				return nil
			}
		}
	}
	return fmt.Errorf("-%s is %s://host:port and so on", name, schemes[0])
}

// cannot says why a case cannot be measured on the given services.
func (o *options) cannot(c benchCase) error {
	return errors.Join(
		refuse(o.url != "" && c.name == caseRest, "-cases: %s measures processes that are started here: leave -url out", c.name),
		refuse(o.url != "" && c.own, "-cases: %s restarts Waybill or writes its tables: leave -url out", c.name),
		refuse(o.given() && c.name == caseRetention, "-cases: %s has Temporal keep closed workflows for a minute, which a given one refuses", c.name),
		refuse(o.url != "" && o.temporal == "" && c.name == caseFloor, "-cases: the floor needs -temporal-address"),
	)
}

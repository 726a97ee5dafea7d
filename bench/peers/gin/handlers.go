package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"sort"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

type api struct {
	store    *store
	cache    *orderCache
	products *products
}

type envelope struct {
	Status  string      `json:"status"`
	Message string      `json:"message"`
	Data    interface{} `json:"data"`
}

func success(c *gin.Context, code int, message string, data interface{}) {
	c.JSON(code, envelope{"success", message, data})
}

func fail(c *gin.Context, err error) {
	var known *apiError
	var upstream *upstreamError
	code, message := http.StatusInternalServerError, "Internal server error"
	switch {
	case errors.As(err, &known):
		code, message = known.code, known.message
	case errors.As(err, &upstream):
		log.Print(err)
		code, message = http.StatusBadGateway, "Product service unavailable"
	default:
		log.Printf("internal error: %v", err)
	}
	c.JSON(code, envelope{"error", message, nil})
}

// orderID gives the path's id in its canonical form.
func orderID(c *gin.Context) (string, error) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return "", badRequest("Invalid order id")
	}
	return id.String(), nil
}

func (a *api) health(c *gin.Context) {
	success(c, http.StatusOK, "Service is healthy", gin.H{"service": "gin"})
}

func (a *api) createOrder(c *gin.Context) {
	var request createOrderRequest
	if err := c.ShouldBindJSON(&request); err != nil {
		fail(c, badRequest("Invalid JSON body: %v", err))
		return
	}
	if err := request.validate(); err != nil {
		fail(c, err)
		return
	}
	wanted := make(map[string]int64, len(request.OrderItems))
	for _, item := range request.OrderItems {
		wanted[item.ProductID] += int64(item.Quantity)
	}
	prices, err := a.products.unitPrices(c.Request.Context(), wanted)
	if err != nil {
		fail(c, err)
		return
	}

	now := time.Now().UTC().Truncate(time.Microsecond) // as Postgres keeps it
	order := Order{
		ID:              uuid.NewString(),
		UserID:          request.UserID,
		Status:          "pending",
		Currency:        "USD",
		ShippingAddress: request.ShippingAddress,
		BillingAddress:  request.BillingAddress,
		Notes:           request.Notes,
		CreatedAt:       now,
		UpdatedAt:       now,
		OrderItems:      make([]OrderItem, 0, len(request.OrderItems)),
	}
	// Items are read back in the order of their ids: sorted ids keep the order of the request.
	itemIDs := make([]string, len(request.OrderItems))
	for i := range itemIDs {
		itemIDs[i] = uuid.NewString()
	}
	sort.Strings(itemIDs)
	for i, item := range request.OrderItems {
		price := prices[item.ProductID]
		subtotal := price.Mul(decimal.NewFromInt32(item.Quantity))
		order.TotalAmount = Money{order.TotalAmount.Add(subtotal)}
		order.OrderItems = append(order.OrderItems, OrderItem{
			ID:        itemIDs[i],
			OrderID:   order.ID,
			ProductID: item.ProductID,
			Quantity:  item.Quantity,
			UnitPrice: Money{price},
			Subtotal:  Money{subtotal},
			CreatedAt: now,
			UpdatedAt: now,
		})
	}
	if order.TotalAmount.GreaterThan(maxAmount) {
		fail(c, badRequest("Order total is too large"))
		return
	}
	if err := a.store.insertOrder(c.Request.Context(), &order); err != nil {
		fail(c, err)
		return
	}
	success(c, http.StatusCreated, "Order created", &order)
}

func (a *api) getOrder(c *gin.Context) {
	const message = "Order retrieved"
	id, err := orderID(c)
	if err != nil {
		fail(c, err)
		return
	}
	// A cache that fails must not fail the request.
	cached, err := a.cache.get(id)
	if err != nil {
		log.Printf("cache get %s: %v", id, err)
	} else if cached != nil {
		success(c, http.StatusOK, message, json.RawMessage(cached))
		return
	}
	order, err := a.store.findOrder(id)
	if err != nil {
		fail(c, err)
		return
	}
	value, err := json.Marshal(order)
	if err != nil {
		fail(c, err)
		return
	}
	if err := a.cache.set(id, value); err != nil {
		log.Printf("cache set %s: %v", id, err)
	}
	success(c, http.StatusOK, message, json.RawMessage(value))
}

// reachableFrom has, for each status, the statuses from which it can be reached.
var reachableFrom = map[string][]string{
	"pending":   {},
	"confirmed": {"pending"},
	"shipped":   {"confirmed"},
	"delivered": {"shipped"},
	"cancelled": {"pending", "confirmed"},
}

func (a *api) updateStatus(c *gin.Context) {
	id, err := orderID(c)
	if err != nil {
		fail(c, err)
		return
	}
	var request struct {
		Status string `json:"status"`
	}
	if err := c.ShouldBindJSON(&request); err != nil {
		fail(c, badRequest("Invalid JSON body: %v", err))
		return
	}
	from, known := reachableFrom[request.Status]
	if !known {
		fail(c, badRequest("Unknown status %q", request.Status))
		return
	}
	updated := false
	if len(from) > 0 {
		if updated, err = a.store.updateStatus(id, request.Status, from); err != nil {
			fail(c, err)
			return
		}
	}
	if updated {
		if err := a.cache.del(id); err != nil {
			log.Printf("cache del %s: %v", id, err)
		}
	}
	order, err := a.store.findOrder(id)
	if err != nil {
		fail(c, err)
		return
	}
	if !updated {
		fail(c, &apiError{http.StatusConflict,
			fmt.Sprintf("Cannot change status from %s to %s", order.Status, request.Status)})
		return
	}
	success(c, http.StatusOK, "Order status updated", order)
}

func (a *api) listOrders(c *gin.Context) { a.list(c, "") }

func (a *api) listUserOrders(c *gin.Context) {
	userID := c.Param("user_id")
	if err := requireID("user_id", userID); err != nil {
		fail(c, err)
		return
	}
	a.list(c, userID)
}

type pagination struct {
	Page       int   `json:"page"`
	PageSize   int   `json:"page_size"`
	Total      int64 `json:"total"`
	TotalPages int64 `json:"total_pages"`
}

func queryInt(c *gin.Context, name string, fallback, max int) (int, error) {
	value, given := c.GetQuery(name)
	if !given {
		return fallback, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > max {
		return 0, badRequest("%s must be 1 to %d", name, max)
	}
	return n, nil
}

func (a *api) list(c *gin.Context, userID string) {
	page, err := queryInt(c, "page", 1, 1_000_000)
	if err != nil {
		fail(c, err)
		return
	}
	size, err := queryInt(c, "page_size", 20, 100)
	if err != nil {
		fail(c, err)
		return
	}
	orders, total, err := a.store.listOrders(userID, size, (page-1)*size)
	if err != nil {
		fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{
		"status":     "success",
		"data":       orders,
		"pagination": pagination{page, size, total, (total + int64(size) - 1) / int64(size)},
	})
}

package main

import (
	"context"
	"strings"

	"github.com/jinzhu/gorm"
)

type store struct{ db *gorm.DB }

// insertOrder writes the order and its items in one transaction. GORM v1 has no batch
// insert (Create on a slice would send one INSERT per item), so the items go in by one
// raw multi-row INSERT.
func (s *store) insertOrder(ctx context.Context, order *Order) error {
	tx := s.db.BeginTx(ctx, nil)
	if tx.Error != nil {
		return tx.Error
	}
	defer tx.RollbackUnlessCommitted()
	if err := tx.Create(order).Error; err != nil {
		return err
	}
	const row = "(?, ?, ?, ?, ?, ?, ?, ?)"
	values := make([]interface{}, 0, 8*len(order.OrderItems))
	for _, i := range order.OrderItems {
		values = append(values, i.ID, i.OrderID, i.ProductID, i.Quantity, i.UnitPrice, i.Subtotal,
			i.CreatedAt, i.UpdatedAt)
	}
	insert := "insert into order_items (id, order_id, product_id, quantity, unit_price, subtotal, " +
		"created_at, updated_at) values " + row + strings.Repeat(", "+row, len(order.OrderItems)-1)
	if err := tx.Exec(insert, values...).Error; err != nil {
		return err
	}
	return tx.Commit().Error
}

func withItems(db *gorm.DB) *gorm.DB {
	return db.Preload("OrderItems", func(db *gorm.DB) *gorm.DB {
		return db.Order("order_items.id")
	})
}

func (s *store) findOrder(id string) (*Order, error) {
	var order Order
	err := withItems(s.db).Where("id = ?", id).Take(&order).Error
	if gorm.IsRecordNotFoundError(err) {
		return nil, errOrderNotFound
	}
	return &order, err
}

// updateStatus changes the status if the present one is among from; false if it is not.
func (s *store) updateStatus(id, status string, from []string) (bool, error) {
	result := s.db.Model(&Order{}).Where("id = ? and status in (?)", id, from).Update("status", status)
	return result.RowsAffected == 1, result.Error
}

// listOrders gives one page of orders, newest first, with their items, and the number of
// orders in all. An empty userID stands for every user.
func (s *store) listOrders(userID string, limit, offset int) ([]Order, int64, error) {
	query := s.db.Model(&Order{})
	if userID != "" {
		query = query.Where("user_id = ?", userID)
	}
	var total int64
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
	}
	orders := make([]Order, 0, limit)
	err := withItems(query).Order("created_at desc, id desc").Limit(limit).Offset(offset).Find(&orders).Error
	return orders, total, err
}
